"""Lambda: what a function runs on, and where what fails goes."""

from policies.lifetimes import runtime_ended
from policies.rule import both, needs, rule, unless

FUNCTION = "aws:lambda/function:Function"

RULES = (
    rule("supported-runtime", "A runtime still gets security fixes", FUNCTION, runtime_ended),
    rule(
        "kept-failures",
        "An event that fails is kept",
        FUNCTION,
        needs("deadLetterConfig.targetArn", advice="name a queue, or the event is lost"),
    ),
    rule(
        "encrypted-environment",
        "A function's environment is encrypted with a key of one's own",
        FUNCTION,
        needs("kmsKeyArn", advice="it holds names and secrets"),
    ),
    rule(
        "kept-records",
        "A record that can't be handled blocks no others and is kept",
        "aws:lambda/eventSourceMapping:EventSourceMapping",
        unless(
            "functionResponseTypes",
            ["ReportBatchItemFailures"],  # of a queue, which keeps them itself
            problems=both(
                needs("destinationConfig.onFailure.destinationArn", advice="name a queue"),
                needs(
                    "bisectBatchOnFunctionError", True, advice="its neighbours would fail with it"
                ),
                needs("maximumRecordAgeInSeconds", advice="it would block its shard for a day"),
            ),
        ),
    ),
)

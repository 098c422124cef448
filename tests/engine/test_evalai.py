"""EvalAI's release, which no stack's file asks for before its images are built."""

from tests.engine.workspace import Workspace

CHALLENGE = {"name": "kidney-ct", "challenge_id": 1, "queue": "kidney-ct-1-dev-5f0c9d2e"}


def test_a_tag_and_a_challenge_add_the_release_a_role_and_who_looks_after_it(
    recording: Workspace,
) -> None:
    stack = recording.project("dev")
    stack.up()
    with stack.configured(evalaiImageTag="0f04039-1a2b3c4d", evalaiChallenges=[CHALLENGE]):
        planned = stack.preview()
        assert set(stack.up().steps) == set(planned.steps)
    made = {urn.rpartition("::")[2]: urn for urn in planned.of("create")}
    assert planned.operations == {"create"}
    assert set(made) == {
        *("evaluation-evalai", "evaluation-evalai-application"),
        "evaluation-evalai-kidney-ct-failed",
        *("auth-challenge-1", "evaluation-challenge-1", "evaluation-boundary"),
        *("evaluation-challenges-dependencies", "evaluation-challenges-failures"),
        *("evaluation-challenges-failures-policy", "evaluation-reconcile"),
        *(f"evaluation-challenges-reconciler{p}" for p in ("", "-logs", "-policy", "-role")),
    }
    assert "kubernetes:helm.sh/v3:Release" in made["evaluation-evalai"]

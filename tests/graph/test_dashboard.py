"""The dashboard: what a newcomer needs is on it, and each metric that it names is somebody's."""

import json
import re
from typing import Any

import pytest

from components._alarm_catalogue import OWN
from components._dashboard_parts import UPLOAD_STATES
from components.dashboard import COLUMNS, Dashboard, dashboard_body
from functions.shared import metrics
from functions.uploads.state import Status
from tests.graph.cloudwatch import DOCUMENTED
from tests.graph.strict import REGION, Graph, evaluate, stack_graph

DASHBOARD = "aws:cloudwatch/dashboard:Dashboard"
FILTER = "aws:cloudwatch/logMetricFilter:LogMetricFilter"
FUNCTION = "aws:lambda/function:Function"
QUEUE = "aws:sqs/queue:Queue"


def widgets(graph: Graph) -> list[dict[str, Any]]:
    return json.loads(graph.one(DASHBOARD).inputs["dashboardBody"])["widgets"]


def lines(graph: Graph) -> list[tuple[str, str, dict[str, str], str]]:
    """(namespace, metric, dimensions, region) of every line."""
    found = []
    for widget in widgets(graph):
        for namespace, metric, *rest in widget["properties"].get("metrics", []):
            *words, shown = rest
            assert set(shown) == {"stat", "label"}
            dimensions = dict(zip(words[::2], words[1::2], strict=True))
            found.append((namespace, metric, dimensions, widget["properties"]["region"]))
    return found


def emitted(name: str, capsys: pytest.CaptureFixture[str], **dimensions: str) -> tuple[Any, ...]:
    """(namespace, metric, dimensions) that CloudWatch reads out of what a function logs."""
    metrics.count(name, 1, **dimensions)
    line = json.loads(capsys.readouterr().out)
    (described,) = line["_aws"]["CloudWatchMetrics"]
    return described["Namespace"], described["Metrics"][0]["Name"], set(described["Dimensions"][0])


@pytest.mark.parametrize("stack", ["dev", "prod", "local"])
def test_every_metric_is_one_that_a_service_or_we_ourselves_have(
    stack: str, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = stack_graph(stack)
    # What functions log: tests/functions/uploads and tests/functions/nodes see them do it.
    own = [
        emitted("Uploads", capsys, BucketName="", Status=""),
        emitted("Nodes", capsys, ClusterName="", NodePool=""),
    ]
    own += [
        (made["namespace"], made["name"], set(made["dimensions"]))
        for each in graph.all(FILTER)
        for made in (each.inputs["metricTransformation"],)
    ]
    assert {namespace for namespace, *_ in own} == {OWN}
    for namespace, metric, dimensions, _ in lines(graph):
        assert all(dimensions.values()), f"{metric} has no {dimensions}"
        if namespace == OWN:
            assert (namespace, metric, set(dimensions)) in own
            continue
        assert metric in DOCUMENTED[namespace].metrics, f"{namespace} has no {metric}"
        assert frozenset(dimensions) in DOCUMENTED[namespace].dimensions, (metric, dimensions)


def test_a_name_that_there_is_not_is_noticed() -> None:
    for namespace, metric in (("AWS/Lambda", "IteratorAges"), ("AWS/ApiGateway", "5xxError")):
        assert metric not in DOCUMENTED[namespace].metrics
    for namespace in DOCUMENTED.values():
        assert namespace.source.startswith("https://docs.aws.amazon.com/")


def test_a_newcomer_finds_traffic_errors_lag_queues_uploads_nodes_and_cost() -> None:
    headings = [
        widget["properties"]["markdown"].splitlines()
        for widget in widgets(stack_graph("dev"))
        if widget["type"] == "text"
    ]
    assert [heading for heading, *_ in headings] == [
        *("## The edge", "## Sign-in", "## The API", "## The data", "## Uploads"),
        *("## The evaluation cluster", "## Cost"),
    ]
    assert all(len(" ".join(text)) > 60 for _, *text in headings), "each is explained"
    shown = {(namespace, metric) for namespace, metric, *_ in lines(stack_graph("dev"))}
    assert shown >= {
        ("AWS/ApiGateway", "Count"),
        ("AWS/ApiGateway", "5XXError"),
        ("AWS/ApiGateway", "Latency"),
        (OWN, "DeniedRequests"),
        ("AWS/Lambda", "IteratorAge"),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
        (OWN, "Uploads"),
        (OWN, "Nodes"),
        ("AWS/Billing", "EstimatedCharges"),
    }


def test_lines_are_about_the_stacks_own_resources() -> None:
    graph = stack_graph("dev")
    functions = {f"{function.name}-name" for function in graph.all(FUNCTION)}
    queues = {f"{queue.name}-name" for queue in graph.all(QUEUE)}
    for _, metric, dimensions, _ in lines(graph):
        assert dimensions.get("FunctionName", "data-api-name") in functions, metric
        assert dimensions.get("QueueName", "data-failures-name") in queues, metric
    failing = {name for name in queues if "failures" in name} - {
        *("auth-failures-name", "evaluation-failures-name")  # functions whose failures are seen
    }
    shown = {dimensions.get("QueueName") for _, _, dimensions, _ in lines(graph)}
    assert failing <= shown


def test_metrics_are_looked_for_where_they_are() -> None:
    for namespace, _, dimensions, region in lines(stack_graph("dev")):
        elsewhere = namespace in ("AWS/CloudFront", "AWS/Billing") or (
            namespace == "AWS/WAFV2" and "Region" not in dimensions
        )
        assert region == ("us-east-1" if elsewhere else REGION), namespace


def test_firewalls_of_two_stacks_have_metrics_of_their_own() -> None:
    names = {
        stack: {
            dimensions["WebACL"]
            for namespace, _, dimensions, _ in lines(stack_graph(stack))
            if namespace == "AWS/WAFV2"
        }
        for stack in ("dev", "prod")
    }
    assert len(names["dev"]) == len(names["prod"]) == 3
    assert not names["dev"] & names["prod"]


def test_the_states_are_those_of_uploads_and_the_namespace_the_functions() -> None:
    assert set(UPLOAD_STATES) == set(Status.__args__)
    assert metrics.NAMESPACE == OWN


@pytest.mark.parametrize("stack", ["dev", "local"])
def test_nothing_overlaps_or_leaves_the_page(stack: str) -> None:
    taken: set[tuple[int, int]] = set()
    for widget in widgets(stack_graph(stack)):
        assert widget["x"] + widget["width"] <= COLUMNS
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not cells & taken
        taken |= cells


def test_parts_come_one_below_the_other() -> None:
    part = json.dumps([{"type": "text"}, *[{"type": "metric"}] * 4])
    body = json.loads(dashboard_body([part, part]))
    places = [(widget["x"], widget["y"]) for widget in body["widgets"]]
    assert places[:5] == [(0, 0), (0, 2), (8, 2), (16, 2), (0, 8)]
    assert places[5] == (0, 14)


def test_one_part_is_enough_and_cost_can_be_left_out() -> None:
    def program() -> None:
        Dashboard("page", {"parts": ["[]".replace("]", '{"type": "text"}]')], "cost": False})

    graph = evaluate(program)
    assert len(widgets(graph)) == 1
    assert graph.one(DASHBOARD).inputs["dashboardName"] == "ai4h-mvp-dev-page"


def test_the_filter_counts_denied_requests_as_the_access_log_writes_them() -> None:
    """The pattern in a filter's language, against lines that the log's format makes."""
    graph = stack_graph("dev")
    stage = graph.one("aws:apigateway/stage:Stage").inputs["accessLogSettings"]
    made = graph.one(FILTER).inputs
    terms = re.findall(r'\(\$\.(\w+) = "(\d+)"\)', made["pattern"])
    assert made["pattern"] == "{ " + " || ".join(f'($.{n} = "{v}")' for n, v in terms) + " }"
    for status in ("200", "400", "401", "403", "404", "429", "500"):
        line = json.loads(stage["format"].replace("$context.status", status))
        counted = any(line[name] == value for name, value in terms)
        assert counted == (status in ("401", "403")), status
    for field in made["metricTransformation"]["dimensions"].values():
        assert json.loads(stage["format"])[field.removeprefix("$.")] == "$context.apiId"
    assert (
        stage["destinationArn"]
        .split(":", 5)[-1]
        .startswith(made["logGroupName"].removesuffix("-name"))
    )

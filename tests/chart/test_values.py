"""Wrong values are refused before anything is rendered, with a message that names the place."""

import pytest

from tests.chart.rendering import CHART, helm, value_file

WRONG = {
    "host=": "at '/host'",
    "host=https://evalai.example.org": "at '/host'",
    "image.web.tag=latest": "at '/image/web/tag'",
    "image.worker.repository=worker": "at '/image/worker/repository'",
    "image.registry=docker.io": "additional properties 'registry' not allowed",
    "aws.accountId=1234": "at '/aws/accountId': got number, want string",
    "aws.region=frankfurt": "at '/aws/region'",
    "database.port=0": "minimum: got 0, want 1",
    "secrets.externalSecrets.database=": "at '/secrets/externalSecrets/database'",
    "roleArn=evalai": "at '/roleArn'",
    "maxUploadMib=4096": "maximum: got 4,096, want 2,048",
    "web.hpa.cpuPercent=0": "at '/web/hpa/cpuPercent'",
    "web.replicas=3": "additional properties 'replicas' not allowed",
    "celery.resources.requests.memory=lots": "at '/celery/resources/requests/memory'",
    "ingress.certificateArn=": "at '/ingress/certificateArn'",
    "ingress.sslPolicy=ELBSecurityPolicy-2016-08": "at '/ingress/sslPolicy'",
    "ingress.webAclArn=arn:aws:wafv2:us-east-1:1:global/webacl/x/y": "at '/ingress/webAclArn'",
    "networkPolicy.databaseCidrs=[]": "minItems: got 0, want 1",
    "networkPolicy.awsCidrs={anywhere}": "at '/networkPolicy/awsCidrs/0'",
    "workers[0].queue=https://sqs/queue": "at '/workers/0/queue'",
    "workers[0].maxEvaluationSeconds=90000": "at '/workers/0/maxEvaluationSeconds'",
    "workers[0].roleArn=null": "at '/workers/0/roleArn': got null, want string",
    "workers[0].container.queue=q": "at '/workers/0/container': missing properties",
    "workers[0].container.image=x": "additional properties 'image' not allowed",
    "containerDefaults.maxSeconds=5": "at '/containerDefaults/maxSeconds'",
    "containers.namespace=Models": "at '/containers/namespace'",
    "workerScaling.cooldownSeconds=5": "at '/workerScaling/cooldownSeconds'",
}


@pytest.mark.parametrize(("setting", "message"), WRONG.items())
def test_refused(setting: str, message: str) -> None:
    option = "--set-json" if setting.endswith("[]") else "--set"
    done = helm("template", "evalai", CHART, "--values", value_file("prod"), option, setting)
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr
    assert message in done.stderr


def test_nothing_is_assumed() -> None:
    """The defaults alone deploy nothing: no registry, host or account is guessed."""
    done = helm("template", "evalai", CHART)
    for place in ("/host", "/image/web/repository", "/aws/mediaBucket", "/roleArn"):
        assert f"at '{place}'" in done.stderr

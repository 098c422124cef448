"""Edge: distribution, firewall, portal and origin secret."""

import json
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from components.edge import PORTAL, Edge, EdgeArgs, PriceClass
from tests.graph.strict import Graph, evaluate

BUCKET = "aws:s3/bucket:Bucket"
DISTRIBUTION = "aws:cloudfront/distribution:Distribution"
FULL: EdgeArgs = {
    "domain": {
        "name": "ai4h.example.org",
        "certificate_arn": "arn:aws:acm:us-east-1:1:certificate/1",
    },
    "price_class": PriceClass.ALL,
    "origin_secret_version": 3,
}


def build(args: EdgeArgs, preview: bool = False) -> Graph:
    return evaluate(lambda: Edge("edge", args), preview=preview)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return build({})


@pytest.mark.parametrize("args", [{}, FULL], ids=["defaults", "full"])
def test_same_resources_in_preview_and_update(args: EdgeArgs) -> None:
    preview, update = build(args, preview=True), build(args)
    assert preview.urns == update.urns
    component = update.one("ai4h:index:Edge")
    assert all(r.parent in update.resources for r in update if r is not component)
    assert component.urn in update.registered_outputs


def outputs(graph: Graph) -> Mapping[str, Any]:
    return graph.registered_outputs[graph.one("ai4h:index:Edge").urn]


def test_addresses(graph: Graph) -> None:
    assert outputs(graph)["portal_url"] == "https://edge-distribution-domainName"
    assert outputs(build(FULL))["api_url"] == "https://ai4h.example.org/api"


def test_api_paths_go_to_the_stage_uncached(graph: Graph) -> None:
    inputs = graph.one(DISTRIBUTION).inputs
    behaviours = {b["pathPattern"]: b for b in inputs["orderedCacheBehaviors"]}
    assert list(behaviours) == ["/api/metadata", "/api", "/api/*"], "the first that fits counts"
    origins = {origin["originId"]: origin for origin in inputs["origins"]}
    for behaviour in behaviours.values():
        assert origins[behaviour["targetOriginId"]]["domainName"] == (
            "edge-api-id.execute-api.eu-central-1.amazonaws.com"
        )
        assert "DELETE" in behaviour["allowedMethods"]
    for path in ("/api", "/api/*"):
        assert behaviours[path]["cachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
    assert "originPath" not in origins["api"]
    assert origins["api"]["customHeaders"][0]["name"] == "x-origin-secret"
    assert "customErrorResponses" not in inputs, "they would also replace the API's answers"


def test_metadata_is_kept_by_all_that_its_answer_depends_on(graph: Graph) -> None:
    behaviour = graph.one(DISTRIBUTION).inputs["orderedCacheBehaviors"][0]
    assert behaviour["cachePolicyId"] == "edge-metadata-id"
    assert "originRequestPolicyId" not in behaviour, "what isn't told apart doesn't get through"
    cache = graph.one("aws:cloudfront/cachePolicy:CachePolicy").inputs
    key = cache["parametersInCacheKeyAndForwardedToOrigin"]
    assert key["headersConfig"]["headers"]["items"] == ["accept", "x-forwarded-host"]
    assert key["queryStringsConfig"] == {"queryStringBehavior": "all"}
    assert key["cookiesConfig"] == {"cookieBehavior": "none"}
    assert (cache["minTtl"], cache["defaultTtl"]) == (0, 0), "errors aren't kept"


def test_countries(graph: Graph) -> None:
    def served(graph: Graph) -> Any:
        return graph.one(DISTRIBUTION).inputs["restrictions"]["geoRestriction"]

    assert served(graph) == {"restrictionType": "none"}
    assert served(build({"allowed_countries": ["FR", "DE"]})) == {
        "restrictionType": "whitelist",
        "locations": ["DE", "FR"],
    }
    assert served(build({"blocked_countries": ["FR"]}))["restrictionType"] == "blacklist"
    with pytest.raises(ValueError, match="give one of them"):
        build({"allowed_countries": ["FR"], "blocked_countries": ["DE"]})


def test_a_zone_gets_the_records_and_proves_the_certificate() -> None:
    made = build({"domain": {"name": "ai4h.example.org", "zone_id": "Z1"}})
    records = {r.inputs["type"]: r.inputs for r in made.all("aws:route53/record:Record")}
    for kind in ("A", "AAAA"):
        (alias,) = records[kind]["aliases"]
        assert alias["name"] == "edge-distribution-domainName"
        assert records[kind]["name"] == "ai4h.example.org"
    certificate = made.one("aws:acm/certificate:Certificate")
    assert certificate.inputs["validationMethod"] == "DNS"
    assert certificate.inputs["region"] == "us-east-1"
    issued = made.one("aws:acm/certificateValidation:CertificateValidation")
    distribution = made.one(DISTRIBUTION)
    assert made.waits_for(distribution, issued), "CloudFront takes issued certificates only"
    assert distribution.inputs["viewerCertificate"]["minimumProtocolVersion"] == "TLSv1.2_2021"
    assert not build(FULL).all("aws:route53/record:Record")
    with pytest.raises(ValueError, match="certificate_arn, zone_id or both"):
        build({"domain": {"name": "ai4h.example.org"}})


def test_certificate_sets_the_tls_floor(graph: Graph) -> None:
    assert graph.one(DISTRIBUTION).inputs["viewerCertificate"]["cloudfrontDefaultCertificate"]
    own = build(FULL).one(DISTRIBUTION).inputs
    assert own["viewerCertificate"]["minimumProtocolVersion"] == "TLSv1.2_2021"
    assert own["aliases"] == ["ai4h.example.org"]
    assert own["priceClass"] == "PriceClass_All"


def test_firewall_lives_in_the_global_region_and_logs_there(graph: Graph) -> None:
    acl = graph.one("aws:wafv2/webAcl:WebAcl")
    assert acl.inputs["scope"] == "CLOUDFRONT"
    logging = graph.one("aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration")
    groups = graph.all("aws:cloudwatch/logGroup:LogGroup")
    assert {r.inputs["region"] for r in (acl, logging, *groups)} == {"us-east-1"}
    assert any(r.inputs["namePrefix"].startswith("aws-waf-logs-") for r in groups)
    redacted = logging.inputs["redactedFields"]
    assert {"queryString": {}} in redacted
    assert {"singleHeader": {"name": "authorization"}} in redacted


def test_large_marked_up_bodies_pass_on_api_paths_only(graph: Graph) -> None:
    rules = {r["name"]: r for r in graph.one("aws:wafv2/webAcl:WebAcl").inputs["rules"]}
    core = rules["AWSManagedRulesCommonRuleSet"]["statement"]["managedRuleGroupStatement"]
    counted = {o["name"] for o in core["ruleActionOverrides"]}
    assert counted == {"SizeRestrictions_BODY", "CrossSiteScripting_BODY"}
    elsewhere = rules["body-rules-outside-api"]
    assert elsewhere["action"]["block"]["customResponse"]["responseCode"] == 403
    labels, outside = elsewhere["statement"]["andStatement"]["statements"]
    assert len(labels["orStatement"]["statements"]) == 2
    path = outside["notStatement"]["statement"]["byteMatchStatement"]
    assert (path["searchString"], path["positionalConstraint"]) == ("/api", "STARTS_WITH")
    assert len({rule["priority"] for rule in rules.values()}) == len(rules)


def test_floods_by_address_or_key_and_huge_bodies_are_refused_as_the_api_would() -> None:
    acl = build({"rate_limit": 100, "key_rate_limit": 700}).one("aws:wafv2/webAcl:WebAcl").inputs
    rules = {rule["name"]: rule for rule in acl["rules"]}
    rate = rules["rate"]["statement"]["rateBasedStatement"]
    assert (rate["aggregateKeyType"], rate["limit"]) == ("IP", 100)
    by_key = rules["rate-of-key"]["statement"]["rateBasedStatement"]
    assert (by_key["aggregateKeyType"], by_key["limit"]) == ("CUSTOM_KEYS", 700)
    assert by_key["customKeys"][0]["header"]["name"] == "x-api-key"
    length = rules["length"]["statement"]["regexMatchStatement"]
    assert length["fieldToMatch"] == {"singleHeader": {"name": "content-length"}}
    assert re.fullmatch(length["regexString"], str(10 * 1024 * 1024))
    assert not re.fullmatch(length["regexString"], "9999999")
    bodies = {body["key"]: json.loads(body["content"]) for body in acl["customResponseBodies"]}
    for name, status in {"rate": 429, "rate-of-key": 429, "length": 413}.items():
        answer = rules[name]["action"]["block"]["customResponse"]
        assert answer["responseCode"] == status
        assert bodies[answer["customResponseBodyKey"]]["resourceType"] == "OperationOutcome"


def policy(graph: Graph, name: str) -> list[dict[str, Any]]:
    return json.loads(graph.one("aws:s3/bucketPolicy:BucketPolicy", name).inputs["policy"])[
        "Statement"
    ]


def test_portal_is_readable_by_this_distribution_only(graph: Graph) -> None:
    deny, allow = policy(graph, "edge-portal")
    assert deny["Effect"] == "Deny"
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert allow["Action"] == "s3:GetObject"
    assert "distribution" in allow["Condition"]["StringEquals"]["aws:SourceArn"]


@pytest.mark.parametrize(
    "kind",
    ["PublicAccessBlock", "OwnershipControls", "Versioning", "ServerSideEncryptionConfiguration"],
)
def test_every_bucket_is_closed(graph: Graph, kind: str) -> None:
    token = f"aws:s3/bucket{kind}:Bucket{kind}"
    assert {r.parent for r in graph.all(token)} == {r.urn for r in graph.all(BUCKET)}


def test_portal_files_have_their_content_type(graph: Graph) -> None:
    files = {r.inputs["key"]: r for r in graph.all("aws:s3/bucketObjectv2:BucketObjectv2")}
    sent = [path for path in PORTAL.rglob("*") if path.is_file()]
    assert set(files) == {path.relative_to(PORTAL).as_posix() for path in sent}
    assert files["index.html"].inputs["contentType"] == "text/html"
    assert files["style.css"].inputs["contentType"] == "text/css"
    for page in (path.read_text() for path in sent if path.suffix == ".html"):
        assert "<style" not in page, "the content security policy refuses inline styles"
        assert "onclick" not in page


def test_portal_of_another_project(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "logo.svg").write_text("<svg/>")
    made = build({"portal_path": str(tmp_path)}).one("aws:s3/bucketObjectv2:BucketObjectv2")
    assert made.inputs["key"] == "assets/logo.svg"
    assert made.inputs["contentType"] == "image/svg+xml"


def secrets(graph: Graph) -> list[str]:
    return [r.name for r in graph.all("random:index/randomPassword:RandomPassword")]


def test_rotation_keeps_the_neighbouring_secrets(graph: Graph) -> None:
    assert secrets(graph) == ["edge-origin-secret-1", "edge-origin-secret-2"]
    rotated = build(FULL)
    assert secrets(rotated) == [f"edge-origin-secret-{number}" for number in (2, 3, 4)]
    assert outputs(rotated)["origin_secrets"] == [f"{name}-result" for name in secrets(rotated)]
    distribution = rotated.one(DISTRIBUTION)
    assert "origins" in distribution.secrets
    sent = distribution.inputs["origins"][1]["customHeaders"]
    assert sent == [{"name": "x-origin-secret", "value": "edge-origin-secret-3-result"}]


def sent(graph: Graph) -> str:
    (header,) = graph.one(DISTRIBUTION).inputs["origins"][1]["customHeaders"]
    return header["value"]


def test_no_order_of_a_rotations_updates_refuses_a_request(graph: Graph) -> None:
    """CloudFront and the stage change one after the other: each one's new goes with all old."""
    steps = [graph, build({"origin_secret_version": 2}), build(FULL)]
    for before, after in pairwise(steps):
        assert sent(before) != sent(after)
        assert sent(before) in outputs(after)["origin_secrets"]
        assert sent(after) in outputs(before)["origin_secrets"]
    assert sent(steps[0]) not in outputs(steps[-1])["origin_secrets"], "two rotations end it"


def test_headers(graph: Graph) -> None:
    headers = graph.one("aws:cloudfront/responseHeadersPolicy:ResponseHeadersPolicy")
    config = headers.inputs["securityHeadersConfig"]
    policy = config["contentSecurityPolicy"]["contentSecurityPolicy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert config["strictTransportSecurity"]["accessControlMaxAgeSec"] >= 31536000


def test_access_log_holds_no_query(graph: Graph) -> None:
    fields = graph.one("aws:cloudwatch/logDelivery:LogDelivery").inputs["recordFields"]
    assert "c-ip" in fields
    assert not {"cs-uri-query", "cs(Cookie)", "cs(Referer)"} & set(fields)

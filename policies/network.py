"""What can be reached from where."""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_network
from itertools import combinations

from policies.rule import UNKNOWN, Resource, both, listed, needs, read, rule
from policies.storage import DATABASE, DOMAIN

EVERYWHERE = ("0.0.0.0/0", "::/0")
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
SECURITY_GROUP = "aws:ec2/securityGroup:SecurityGroup"
SUBNET = "aws:ec2/subnet:Subnet"
DISTRIBUTION = "aws:cloudfront/distribution:Distribution"
WEB_ACL = "aws:wafv2/webAcl:WebAcl"
KNOWN_ATTACKS = "AWSManagedRulesKnownBadInputsRuleSet"
TLS_POLICIES = ("Policy-Min-TLS-1-2-2019-07", "Policy-Min-TLS-1-2-PFS-2023-10")
TLS_VERSIONS = ("TLSv1.2_2021", "TLSv1.2_2025", "TLSv1.3_2025")


def _open_port(resource: Resource) -> Iterator[str]:
    for key in ("cidrIpv4", "cidrIpv6"):
        if resource.inputs.get(key) in EVERYWHERE:
            yield f"{key} is the whole internet: only the edge is public, the VPC isn't"


def _rules_inside(resource: Resource) -> Iterator[str]:
    for key in ("ingress", "egress"):
        if listed(resource.inputs.get(key)):
            yield f"{key} is set in the group: give each rule a resource, which others can see"


def _lets_attacks_through(resource: Resource) -> Iterator[str]:
    rules = resource.inputs.get("rules")
    if rules is UNKNOWN:
        return
    groups = {
        read(rule, "statement.managedRuleGroupStatement.name"): read(rule, "overrideAction.none")
        for rule in listed(rules)
    }
    if groups.get(KNOWN_ATTACKS, UNKNOWN if UNKNOWN in groups else None) is None:
        yield f"rules lacks {KNOWN_ATTACKS}, or only counts what it finds"


def _plain_http(resource: Resource) -> Iterator[str]:
    behaviours = read(resource.inputs, "orderedCacheBehaviors")
    all_of_them = [read(resource.inputs, "defaultCacheBehavior")]
    all_of_them += behaviours if isinstance(behaviours, list) else []
    for behaviour in all_of_them:
        protocol = read(behaviour, "viewerProtocolPolicy")
        if protocol not in ("https-only", "redirect-to-https", UNKNOWN):
            yield f"viewerProtocolPolicy is {protocol}: answer over HTTPS only"


RULES = (
    rule("no-open-port", "No security group lets the internet in", INGRESS, _open_port),
    rule("rules-apart", "Rules of security groups are resources", SECURITY_GROUP, _rules_inside),
    rule(
        "no-public-addresses",
        "Machines get no public address by themselves",
        SUBNET,
        needs("mapPublicIpOnLaunch", None, False, advice="only load balancers and NAT are public"),
    ),
    rule(
        "private-domain",
        "The search domain is inside the VPC and asks for TLS",
        DOMAIN,
        both(
            needs("vpcOptions", advice="put the domain into the VPC"),
            needs("domainEndpointOptions.enforceHttps", True, advice="refuse plain HTTP"),
            needs("domainEndpointOptions.tlsSecurityPolicy", *TLS_POLICIES, advice="TLS 1.2"),
            needs("nodeToNodeEncryption.enabled", True, advice="nodes talk encrypted"),
        ),
    ),
    rule(
        "private-database",
        "Databases have no public address",
        DATABASE,
        needs("publiclyAccessible", None, False, advice="it is reached from the VPC only"),
    ),
    rule("https-only", "CloudFront answers over HTTPS only", DISTRIBUTION, _plain_http),
    rule(
        "modern-tls",
        "CloudFront's TLS starts at 1.2 with a current policy",
        DISTRIBUTION,
        needs(
            "viewerCertificate.minimumProtocolVersion",
            *TLS_VERSIONS,
            advice="a domain and certificate of one's own allow for it",
        ),
    ),
    rule(
        "renewing-certificate",
        "A certificate is renewed by itself, before it ends",
        "aws:acm/certificate:Certificate",
        needs("validationMethod", "DNS", advice="by mail, or imported, it ends one day"),
    ),
    rule(
        "known-attacks-refused",
        "A firewall refuses inputs that are known to attack",
        WEB_ACL,
        _lets_attacks_through,
    ),
    rule(
        "filtered-edge",
        "A firewall stands before CloudFront",
        DISTRIBUTION,
        needs("webAclId", advice="name a web ACL"),
    ),
)


def overlaps(networks: Mapping[str, str], others: Iterable[str] = ()) -> Iterator[str]:
    """Stacks (name to CIDR) whose networks overlap, with each other or with a peer's."""
    known = {**networks, **{f"peer {cidr}": cidr for cidr in others}}
    for (one, cidr), (other, its) in combinations(sorted(known.items()), 2):
        if ip_network(cidr).overlaps(ip_network(its)):
            yield f"{one} ({cidr}) and {other} ({its}) overlap: they could never be peered"

"""The strict mocks themselves: what they must refuse and what they must see."""

import pulumi
import pulumi_aws as aws
import pytest
from pulumi.output import Unknown

from tests.graph.strict import GraphError, evaluate

VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"


class Site(pulumi.ComponentResource):
    """A component with two children, one of which uses the other."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai4h:index:Site", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        vpc = aws.ec2.Vpc(f"{name}-vpc", cidr_block="10.0.0.0/16", opts=child)
        aws.ec2.Subnet(f"{name}-subnet", vpc_id=vpc.id, cidr_block="10.0.0.0/20", opts=child)
        pulumi.export("vpc_id", vpc.id)
        pulumi.export("password", pulumi.Output.secret("hidden"))
        self.register_outputs({"vpc_id": vpc.id})


def test_duplicate_urn_is_refused() -> None:
    def twice() -> None:
        Site("site")
        Site("site")

    with pytest.raises(GraphError, match="duplicate URN"):
        evaluate(twice)


def test_same_name_below_another_type_of_parent_is_no_duplicate() -> None:
    def program() -> None:
        Site("site")
        aws.ec2.Vpc("site-vpc", cidr_block="10.1.0.0/16")

    assert len(evaluate(program).all(VPC)) == 2


def test_options_are_recorded() -> None:
    graph = evaluate(lambda: Site("site", pulumi.ResourceOptions(protect=True)))
    site, vpc, subnet = graph.one("ai4h:index:Site"), graph.one(VPC), graph.one(SUBNET)
    assert vpc.parent == site.urn
    assert vpc.protect
    assert vpc.urn in subnet.depends_on
    assert graph.waits_for(subnet, vpc)
    assert not graph.waits_for(vpc, subnet)
    assert site.urn in graph.registered_outputs
    assert graph.secret_outputs == {"password"}


def test_preview_has_unknowns_and_update_has_values() -> None:
    preview = evaluate(lambda: Site("site"), preview=True)
    update = evaluate(lambda: Site("site"))
    assert isinstance(preview.one(SUBNET).inputs["vpcId"], Unknown)
    assert isinstance(preview.outputs["vpc_id"], Unknown)
    assert update.one(SUBNET).inputs["vpcId"] == update.outputs["vpc_id"] == "site-vpc-id"
    assert preview.urns == update.urns


def test_unknown_function_is_refused() -> None:
    with pytest.raises(Exception, match="no answer for aws:ec2/getVpc"):
        evaluate(lambda: pulumi.export("vpc", aws.ec2.get_vpc_output(id="vpc-1").arn))


def test_output_in_a_string_is_refused() -> None:
    def program() -> None:
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
        aws.ec2.Subnet(f"subnet-of-{vpc.id}", vpc_id=vpc.id)

    with pytest.raises(Exception, match="__str__ on an Output"):
        evaluate(program)

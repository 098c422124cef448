"""Network: a VPC over three availability zones, private by default."""

import ipaddress
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from ._keys import encryption_key, log_statement
from ._order import after
from ._policy_documents import allow, policy_document, service_trust

ZONES = 3
DEFAULT_CIDR = "10.0.0.0/16"
# The smallest subnet that AWS allows is a /28, and a public subnet is a 16th of the VPC.
# https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
LARGEST_PREFIX_LENGTH, SMALLEST_PREFIX_LENGTH = 16, 24


class NetworkArgs(TypedDict):
    cidr: NotRequired[str]
    """IPv4 range of the VPC, /16 to /24. Default: 10.0.0.0/16."""
    nat_per_az: NotRequired[bool]
    """A NAT gateway per zone instead of one for all: no shared point of failure. Default: false."""
    interface_endpoints: NotRequired[list[str]]
    """AWS services reached without leaving the VPC, e.g. `kms`, `sqs`, `ecr.api`. Default: none."""
    cluster_name: NotRequired[str]
    """EKS cluster whose load balancers and Karpenter nodes find their subnets by tag."""
    log_retention_days: NotRequired[int]
    """How long flow logs are kept, in days. Default: 365."""


class Network(pulumi.ComponentResource):
    """A VPC with three public and three private subnets, and the ways in and out of it.

    Creates: VPC, subnets, route tables, internet gateway, NAT gateways, S3 and DynamoDB gateway
    endpoints, interface endpoints with their security group, flow logs (encrypted) and a default
    security group without rules.
    """

    vpc_id: pulumi.Output[str]
    """Id of the VPC."""
    public_subnet_ids: pulumi.Output[list[str]]
    """Ids of the subnets with a route to the internet, one per zone."""
    private_subnet_ids: pulumi.Output[list[str]]
    """Ids of the subnets that reach the internet through NAT only, one per zone."""

    def __init__(
        self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ai4h:index:Network", name, {}, opts)
        self._name = name
        self._child = pulumi.ResourceOptions(parent=self)
        self._region = aws.get_region_output().region
        cidr = parse_cidr(args.get("cidr", DEFAULT_CIDR))

        self._vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=str(cidr),
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags={"Name": name},
            opts=self._child,
        )
        aws.ec2.DefaultSecurityGroup(
            f"{name}-default", vpc_id=self._vpc.id, ingress=[], egress=[], opts=self._child
        )
        cluster_name = args.get("cluster_name")
        public, private = self._subnets(cidr, cluster_name)
        tables = self._routes(public, private, args.get("nat_per_az", False))
        self._endpoints(tables, private, args.get("interface_endpoints", []))
        self._flow_logs(int(args.get("log_retention_days", 365)))

        self.vpc_id = self._vpc.id
        self.public_subnet_ids = pulumi.Output.all(*(subnet.id for subnet in public))
        self.private_subnet_ids = pulumi.Output.all(*(subnet.id for subnet in private))
        self.register_outputs(
            {
                "vpc_id": self.vpc_id,
                "public_subnet_ids": self.public_subnet_ids,
                "private_subnet_ids": self.private_subnet_ids,
            }
        )

    def _subnets(
        self, cidr: ipaddress.IPv4Network, cluster_name: str | None
    ) -> tuple[list[aws.ec2.Subnet], list[aws.ec2.Subnet]]:
        # The count must not depend on the zones found: in a preview they may be unknown.
        zones = aws.get_availability_zones_output(
            state="available",
            filters=[{"name": "opt-in-status", "values": ["opt-in-not-required"]}],
        ).names
        public_cidrs, private_cidrs = subnet_cidrs(cidr)
        public, private = [], []
        for index in range(ZONES):
            zone = zones.apply(lambda names, i=index: names[i])
            public.append(
                aws.ec2.Subnet(
                    f"{self._name}-public-{index}",
                    vpc_id=self._vpc.id,
                    cidr_block=public_cidrs[index],
                    availability_zone=zone,
                    map_public_ip_on_launch=False,
                    tags={
                        "Name": f"{self._name}-public-{index}",
                        "kubernetes.io/role/elb": "1",
                    },
                    opts=self._child,
                )
            )
            discovery = {"karpenter.sh/discovery": cluster_name} if cluster_name else {}
            private.append(
                aws.ec2.Subnet(
                    f"{self._name}-private-{index}",
                    vpc_id=self._vpc.id,
                    cidr_block=private_cidrs[index],
                    availability_zone=zone,
                    tags={
                        "Name": f"{self._name}-private-{index}",
                        "kubernetes.io/role/internal-elb": "1",
                        **discovery,
                    },
                    opts=self._child,
                )
            )
        return public, private

    def _routes(
        self, public: list[aws.ec2.Subnet], private: list[aws.ec2.Subnet], nat_per_az: bool
    ) -> list[aws.ec2.RouteTable]:
        """Route tables of the private subnets."""
        name, child = self._name, self._child
        gateway = aws.ec2.InternetGateway(f"{name}-internet", vpc_id=self._vpc.id, opts=child)
        table = aws.ec2.RouteTable(
            f"{name}-public", vpc_id=self._vpc.id, tags={"Name": f"{name}-public"}, opts=child
        )
        internet = aws.ec2.Route(
            f"{name}-public-internet",
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
            opts=child,
        )
        for index, subnet in enumerate(public):
            aws.ec2.RouteTableAssociation(
                f"{name}-public-{index}", subnet_id=subnet.id, route_table_id=table.id, opts=child
            )
        nats = [
            aws.ec2.NatGateway(
                f"{name}-nat-{index}",
                subnet_id=public[index].id,
                allocation_id=aws.ec2.Eip(f"{name}-nat-{index}", domain="vpc", opts=child).id,
                tags={"Name": f"{name}-nat-{index}"},
                opts=after(child, internet),
            )
            for index in range(ZONES if nat_per_az else 1)
        ]
        tables = []
        for index, subnet in enumerate(private):
            table = aws.ec2.RouteTable(
                f"{name}-private-{index}",
                vpc_id=self._vpc.id,
                tags={"Name": f"{name}-private-{index}"},
                opts=child,
            )
            aws.ec2.Route(
                f"{name}-private-{index}-nat",
                route_table_id=table.id,
                destination_cidr_block="0.0.0.0/0",
                nat_gateway_id=nats[index % len(nats)].id,
                opts=child,
            )
            aws.ec2.RouteTableAssociation(
                f"{name}-private-{index}", subnet_id=subnet.id, route_table_id=table.id, opts=child
            )
            tables.append(table)
        return tables

    def _endpoints(
        self,
        tables: list[aws.ec2.RouteTable],
        private: list[aws.ec2.Subnet],
        services: list[str],
    ) -> None:
        name, child = self._name, self._child
        for service in ("s3", "dynamodb"):
            aws.ec2.VpcEndpoint(
                f"{name}-{service}",
                vpc_id=self._vpc.id,
                service_name=pulumi.Output.concat("com.amazonaws.", self._region, ".", service),
                vpc_endpoint_type="Gateway",
                route_table_ids=[table.id for table in tables],
                tags={"Name": f"{name}-{service}"},
                opts=child,
            )
        if not services:
            return
        group = aws.ec2.SecurityGroup(
            f"{name}-endpoints",
            description="HTTPS from the VPC to AWS interface endpoints",
            vpc_id=self._vpc.id,
            tags={"Name": f"{name}-endpoints"},
            opts=child,
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-endpoints-https",
            security_group_id=group.id,
            description="HTTPS from the VPC",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            cidr_ipv4=self._vpc.cidr_block,
            opts=child,
        )
        for service in sorted(set(services)):
            aws.ec2.VpcEndpoint(
                f"{name}-{service}",
                vpc_id=self._vpc.id,
                service_name=pulumi.Output.concat("com.amazonaws.", self._region, ".", service),
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=[subnet.id for subnet in private],
                security_group_ids=[group.id],
                tags={"Name": f"{name}-{service}"},
                opts=child,
            )

    def _flow_logs(self, retention_days: int) -> None:
        name, child = self._name, self._child
        key = encryption_key(
            f"{name}-logs",
            f"Flow logs of {name}",
            statements=[log_statement(self._region)],
            opts=child,
        )
        group = aws.cloudwatch.LogGroup(
            f"{name}-flow", kms_key_id=key.arn, retention_in_days=retention_days, opts=child
        )
        role = aws.iam.Role(
            f"{name}-flow",
            assume_role_policy=flow_log_trust(aws.get_caller_identity_output().account_id),
            opts=child,
        )
        policy = aws.iam.RolePolicy(
            f"{name}-flow", role=role.id, policy=flow_log_policy(group.arn), opts=child
        )
        aws.ec2.FlowLog(
            f"{name}-flow",
            vpc_id=self._vpc.id,
            traffic_type="ALL",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=60,
            tags={"Name": name},
            opts=after(child, policy),
        )


def parse_cidr(cidr: str) -> ipaddress.IPv4Network:
    """The range as a network; ValueError says what is wrong with it."""
    network = ipaddress.IPv4Network(cidr)
    if not LARGEST_PREFIX_LENGTH <= network.prefixlen <= SMALLEST_PREFIX_LENGTH:
        raise ValueError(
            f"{cidr}: a VPC of three zones needs /{LARGEST_PREFIX_LENGTH} to "
            f"/{SMALLEST_PREFIX_LENGTH}"
        )
    return network


def subnet_cidrs(cidr: ipaddress.IPv4Network) -> tuple[list[str], list[str]]:
    """Public and private ranges: a quarter per private subnet, the public ones share the last."""
    *private, rest = cidr.subnets(prefixlen_diff=2)
    public = list(rest.subnets(prefixlen_diff=2))[:ZONES]
    return [str(block) for block in public], [str(block) for block in private]


def flow_log_trust(account_id: pulumi.Input[str]) -> pulumi.Output[str]:
    """Lets the flow log service of this account assume the role."""
    return service_trust(
        "vpc-flow-logs.amazonaws.com",
        condition={"StringEquals": {"aws:SourceAccount": account_id}},
    )


def flow_log_policy(group_arn: pulumi.Input[str]) -> pulumi.Output[str]:
    """Write access to one log group."""
    return policy_document(
        [
            allow(
                ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                [group_arn, pulumi.Output.concat(group_arn, ":*")],
            ),
            # It asks for all groups, and finds its own among them.
            allow("logs:DescribeLogGroups", "*"),
        ]
    )

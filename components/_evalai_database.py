"""EvalAI's database: PostgreSQL in private subnets, reached by the cluster's pods over TLS only."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from ._arns import managed_policy
from ._policy_documents import service_trust

# Of the versions that EvalAI's Django 2.2 works with the newest; upstream develops with it.
MAJOR_VERSION = "17"
PORT = 5432
NAME = USER = "evalai"
VOLUME_GIB, LARGEST_VOLUME_GIB = 20, 200
BACKUP_DAYS = 35  # the longest that RDS offers
INSIGHTS_DAYS = 7  # what costs nothing
MONITORING_SECONDS = 60
PARAMETERS = {
    "rds.force_ssl": "1",
    "log_connections": "1",
    "log_disconnections": "1",
    # In milliseconds. The text of a quicker query might name a person, and isn't logged.
    "log_min_duration_statement": "5000",
}


def database(
    name: str,
    *,
    vpc_id: pulumi.Input[str],
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]],
    client_group_id: pulumi.Input[str],
    instance_class: str,
    multi_az: bool,
    key: aws.kms.Key,
    protect: bool,
    opts: pulumi.ResourceOptions,
    kept: pulumi.ResourceOptions,
) -> aws.rds.Instance:
    """The database; `client_group_id` is the security group that may connect.

    RDS makes and rotates the password, in Secrets Manager. `kept` are the options of what holds
    data.
    """
    subnets = aws.rds.SubnetGroup(
        name, description="Private subnets", subnet_ids=subnet_ids, opts=opts
    )
    parameters = aws.rds.ParameterGroup(
        name,
        family=f"postgres{MAJOR_VERSION}",
        description="TLS only; connections and slow queries are logged",
        parameters=[{"name": key, "value": value} for key, value in PARAMETERS.items()],
        opts=opts,
    )
    return aws.rds.Instance(
        name,
        engine="postgres",
        engine_version=MAJOR_VERSION,
        auto_minor_version_upgrade=True,
        instance_class=instance_class,
        multi_az=multi_az,
        db_name=NAME,
        username=USER,
        manage_master_user_password=True,
        master_user_secret_kms_key_id=key.arn,
        storage_type="gp3",
        allocated_storage=VOLUME_GIB,
        max_allocated_storage=LARGEST_VOLUME_GIB,
        storage_encrypted=True,
        kms_key_id=key.arn,
        db_subnet_group_name=subnets.name,
        vpc_security_group_ids=[_group(name, vpc_id, client_group_id, opts).id],
        publicly_accessible=False,
        parameter_group_name=parameters.name,
        ca_cert_identifier="rds-ca-rsa2048-g1",  # in the bundle that the image brings
        backup_retention_period=BACKUP_DAYS,
        copy_tags_to_snapshot=True,
        iam_database_authentication_enabled=True,  # for people; EvalAI itself has the password
        monitoring_interval=MONITORING_SECONDS,
        monitoring_role_arn=_monitoring_role(name, opts).arn,
        performance_insights_enabled=True,
        performance_insights_kms_key_id=key.arn,
        performance_insights_retention_period=INSIGHTS_DAYS,
        deletion_protection=protect,
        skip_final_snapshot=not protect,
        final_snapshot_identifier=f"{name}-final" if protect else None,
        opts=kept,
    )


def _monitoring_role(name: str, opts: pulumi.ResourceOptions) -> aws.iam.Role:
    """What RDS takes to write the machine's figures into its log group.

    https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_Monitoring.OS.Enabling.html
    """
    role = aws.iam.Role(
        f"{name}-monitoring",
        description="RDS writes enhanced monitoring",
        assume_role_policy=service_trust("monitoring.rds.amazonaws.com"),
        opts=opts,
    )
    aws.iam.RolePolicyAttachment(
        f"{name}-monitoring",
        role=role.name,
        policy_arn=managed_policy("service-role/AmazonRDSEnhancedMonitoringRole"),
        opts=opts,
    )
    return role


def _group(
    name: str,
    vpc_id: pulumi.Input[str],
    client_group_id: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> aws.ec2.SecurityGroup:
    group = aws.ec2.SecurityGroup(
        name,
        vpc_id=vpc_id,
        description="EvalAI's database: PostgreSQL in, nothing out",
        tags={"Name": name},
        opts=opts,
    )
    aws.vpc.SecurityGroupIngressRule(
        name,
        security_group_id=group.id,
        description="PostgreSQL from the cluster's nodes and pods",
        ip_protocol="tcp",
        from_port=PORT,
        to_port=PORT,
        referenced_security_group_id=client_group_id,
        opts=opts,
    )
    return group

"""SNS topics that tell people of the stacks' alarms, one per region that has alarms."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components._keys import encryption_key
from components._policy_documents import policy_document, tls_only
from components._regions import GLOBAL_REGION

NAME = "ai4h-alarms"


@dataclass(frozen=True)
class AlarmTopics:
    """What stacks are to be configured with."""

    arn: pulumi.Output[str]
    """`alarmTopicArn`"""
    edge_arn: pulumi.Output[str]
    """`edgeAlarmTopicArn`"""


def alarm_topics(emails: Sequence[str]) -> AlarmTopics:
    """A topic in the stacks' region and one for the edge: alarms tell topics of their region only.

    SNS asks each address for its consent.
    """
    return AlarmTopics(
        arn=_topic("alarms", None, emails).arn,
        edge_arn=_topic("edge-alarms", GLOBAL_REGION, emails).arn,
    )


def _topic(name: str, region: str | None, emails: Sequence[str]) -> aws.sns.Topic:
    """A topic that alarms of this account may tell, and nobody else.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
    """
    alarms = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Condition": {
            "StringEquals": {"aws:SourceAccount": aws.get_caller_identity_output().account_id}
        },
    }
    key = encryption_key(
        name,
        "Alarms on their way",
        statements=[{**alarms, "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": "*"}],
        region=region,
        opts=pulumi.ResourceOptions(),
    )
    topic = aws.sns.Topic(name, name=NAME, kms_master_key_id=key.arn, region=region)
    plain = tls_only("sns:Publish", topic.arn)
    aws.sns.TopicPolicy(
        name,
        arn=topic.arn,
        policy=policy_document([{**alarms, "Action": "sns:Publish", "Resource": topic.arn}, plain]),
        region=region,
    )
    for email in emails:
        aws.sns.TopicSubscription(
            f"{name}-{email}", topic=topic.arn, protocol="email", endpoint=email, region=region
        )
    return topic

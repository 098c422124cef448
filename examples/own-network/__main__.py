"""The FHIR API with search and uploads, in a VPC and with users that the project has already."""

import pulumi
from ai4h_platform.components import DataStore, FunctionPlatform, Gateway, UploadBucket

config = pulumi.Config()
issuer = config.require("issuer")
platform = FunctionPlatform(config.require("functionPlatform"))
client_ids: list[pulumi.Input[str]] = [config.require("clientId")]

data = DataStore(
    "data",
    {
        "vpc_id": config.require("vpcId"),
        "subnet_ids": config.require_object("privateSubnetIds"),
        "issuer": issuer,
        "client_ids": client_ids,
        "function_platform": platform,
    },
)
uploads = UploadBucket(
    "uploads",
    {
        "table_name": data.table_name,
        "table_arn": data.table_arn,
        "control_table_name": data.control_table_name,
        "control_table_arn": data.control_table_arn,
        "table_key_arn": data.key_arn,
        "evidence_queue_arn": data.evidence_queue_arn,
        "evidence_queue_url": data.evidence_queue_url,
        "issuer": issuer,
        "client_ids": client_ids,
        "function_platform": platform,
    },
)
gateway = Gateway(
    "gateway",
    {
        "user_pool_arn": config.require("userPoolArn"),
        "routes": {
            "GET /metadata": data.api_function_arn,
            "ANY /": data.api_function_arn,
            "ANY /{proxy+}": data.api_function_arn,
            "POST /Binary": uploads.function_arn,
            "ANY /Binary/{id}": uploads.function_arn,
        },
    },
)

pulumi.export("api_url", gateway.stage_url)
pulumi.export("api_keys", gateway.api_keys)

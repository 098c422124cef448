"""Sign-in and verified private uploads, behind an API of their own."""

import pulumi
from ai4h_platform.components import AuthPool, FunctionPlatform, Gateway, Mfa, UploadBucket

mfa = Mfa(pulumi.Config().require("mfa"))
platform = FunctionPlatform(pulumi.Config().require("functionPlatform"))
auth = AuthPool("auth", {"callback_urls": ["https://portal.example.org/"], "mfa": mfa})
clients: list[pulumi.Input[str]] = [auth.browser_client_id, auth.cli_client_id]
uploads = UploadBucket(
    "uploads", {"issuer": auth.issuer, "client_ids": clients, "function_platform": platform}
)
routes: dict[str, pulumi.Input[str]] = {"ANY /{proxy+}": uploads.function_arn}
gateway = Gateway("gateway", {"user_pool_arn": auth.user_pool_arn, "routes": routes})

pulumi.export("user_pool_id", auth.user_pool_id)
pulumi.export("cli_client_id", auth.cli_client_id)
pulumi.export("api_url", gateway.stage_url)
pulumi.export("api_keys", gateway.api_keys)

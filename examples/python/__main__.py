"""Sign-in and verified private uploads, behind an API of their own."""

import pulumi
from ai4h_platform.components import AuthPool, Gateway, UploadBucket

auth = AuthPool("auth", {"callback_urls": ["https://portal.example.org/"]})
uploads = UploadBucket(
    "uploads", {"issuer": auth.issuer, "client_ids": [auth.browser_client_id, auth.cli_client_id]}
)
served = uploads.function_arn
routes: dict[str, pulumi.Input[str]] = {"POST /Binary": served, "ANY /Binary/{id}": served}
gateway = Gateway("gateway", {"user_pool_arn": auth.user_pool_arn, "routes": routes})

pulumi.export("cli_client_id", auth.cli_client_id)
pulumi.export("api_url", gateway.stage_url)
pulumi.export("api_keys", gateway.api_keys)

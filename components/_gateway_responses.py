"""What the gateway itself answers: FHIR OperationOutcomes that quote nothing of the request."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from ._routes import CORS_ORIGIN, Part, part


@dataclass(frozen=True)
class GatewayResponse:
    """Status (None keeps the gateway's), FHIR issue type, text, and further headers."""

    status: int | None
    code: str
    diagnostics: str
    headers: tuple[tuple[str, str], ...] = ()

    def template(self) -> str:
        """The body; API Gateway treats `$` specially, and there is none."""
        issue = {"severity": "error", "code": self.code, "diagnostics": self.diagnostics}
        return json.dumps({"resourceType": "OperationOutcome", "issue": [issue]})


_BEARER = (("WWW-Authenticate", "Bearer"),)
# https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
RESPONSES = {
    "ACCESS_DENIED": GatewayResponse(403, "forbidden", "Access denied."),
    "API_CONFIGURATION_ERROR": GatewayResponse(500, "exception", "The API is misconfigured."),
    "AUTHORIZER_CONFIGURATION_ERROR": GatewayResponse(
        500, "exception", "Tokens can't be checked at the moment."
    ),
    "AUTHORIZER_FAILURE": GatewayResponse(
        500, "exception", "Tokens can't be checked at the moment."
    ),
    "BAD_REQUEST_BODY": GatewayResponse(400, "invalid", "The body is invalid."),
    "BAD_REQUEST_PARAMETERS": GatewayResponse(400, "invalid", "A parameter is missing or invalid."),
    "DEFAULT_4XX": GatewayResponse(None, "processing", "The request can't be served."),
    "DEFAULT_5XX": GatewayResponse(None, "exception", "The server failed."),
    "EXPIRED_TOKEN": GatewayResponse(401, "expired", "The token has expired.", _BEARER),
    "INTEGRATION_FAILURE": GatewayResponse(502, "transient", "The server failed; try again."),
    "INTEGRATION_TIMEOUT": GatewayResponse(504, "timeout", "The server took too long."),
    "INVALID_API_KEY": GatewayResponse(
        403, "forbidden", "A valid API key is needed in the header x-api-key."
    ),
    "INVALID_SIGNATURE": GatewayResponse(401, "login", "The signature is invalid.", _BEARER),
    "MISSING_AUTHENTICATION_TOKEN": GatewayResponse(404, "not-found", "There is no such path."),
    "QUOTA_EXCEEDED": GatewayResponse(
        429, "throttled", "The API key's quota is used up.", (("Retry-After", "3600"),)
    ),
    "REQUEST_TOO_LARGE": GatewayResponse(413, "too-long", "The request is too large."),
    "RESOURCE_NOT_FOUND": GatewayResponse(404, "not-found", "There is no such path."),
    "THROTTLED": GatewayResponse(
        429, "throttled", "Too many requests; try again shortly.", (("Retry-After", "1"),)
    ),
    "UNAUTHORIZED": GatewayResponse(401, "login", "A valid ID token is needed.", _BEARER),
    "UNSUPPORTED_MEDIA_TYPE": GatewayResponse(
        415, "not-supported", "The content type isn't supported."
    ),
    "WAF_FILTERED": GatewayResponse(403, "forbidden", "The firewall refused the request."),
}


def gateway_responses(
    name: str, rest_api_id: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> list[Part[aws.apigateway.Response]]:
    """One response per kind, as parts of a deployment."""
    return [
        part(
            aws.apigateway.Response,
            f"{name}-{kind.lower().replace('_', '-')}",
            opts,
            rest_api_id=rest_api_id,
            response_type=kind,
            status_code=None if response.status is None else str(response.status),
            response_templates={"application/json": response.template()},
            response_parameters={
                f"gatewayresponse.header.{header}": f"'{value}'"
                for header, value in (
                    ("Access-Control-Allow-Origin", CORS_ORIGIN),
                    ("Content-Type", "application/fhir+json"),
                    *response.headers,
                )
            },
        )
        for kind, response in sorted(RESPONSES.items())
    ]

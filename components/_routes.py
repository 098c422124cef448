"""Routes of a REST API: a tree of resources with methods, integrations and CORS answers."""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import pulumi
import pulumi_aws as aws

from ._documents import json_document

STAGE = "api"
"""Name of the stage and first segment of the API's public path, which are one: no rewriting."""
CORS_ORIGIN = "*"
"""Any origin: credentials are headers that a page must add itself, never cookies."""
METHODS = ("ANY", "DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
REQUEST_HEADERS = (
    *("Accept", "Authorization", "Content-Type", "Idempotency-Key", "If-Match"),
    *("If-Modified-Since", "If-None-Exist", "If-None-Match", "Prefer"),
    *("X-Api-Key", "X-Consistency-Token"),
)
CORS_HEADERS = {
    "Access-Control-Allow-Headers": ",".join(REQUEST_HEADERS),
    "Access-Control-Allow-Methods": "DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT",
    "Access-Control-Allow-Origin": CORS_ORIGIN,
    "Access-Control-Max-Age": "3600",
}


@dataclass(frozen=True)
class Route:
    """A method of a path, served by a function."""

    method: str
    path: str

    @classmethod
    def parse(cls, text: str) -> "Route":
        """From "METHOD /path"; ValueError says what is wrong."""
        method, _, path = text.partition(" ")
        if method not in METHODS:
            raise ValueError(f"route {text!r}: the method must be one of {', '.join(METHODS)}")
        if not re.fullmatch(r"/|(/[^/\s]+)+", path):
            raise ValueError(f"route {text!r}: the path must start with / and not end with one")
        return cls(method, path)

    @property
    def label(self) -> str:
        """The route as part of a resource's name."""
        return f"{slug(self.path)}-{self.method.lower()}"

    @property
    def arn_suffix(self) -> str:
        """The part of an invocation's ARN after the stage; path parameters match anything."""
        method = "*" if self.method == "ANY" else self.method
        return f"{method}{re.sub(r'{[^}]+}', '*', self.path)}"

    @property
    def parameters(self) -> dict[str, bool]:
        """The path's parameters, all of them required."""
        return {f"method.request.path.{p}": True for p in re.findall(r"{([^}+]+)\+?}", self.path)}


R = TypeVar("R", bound=pulumi.CustomResource)


class Part(NamedTuple, Generic[R]):
    """What a deployment consists of: a resource, and the settings that it was made with."""

    resource: R
    label: str
    settings: Mapping[str, Any]


def part(kind: type[R], name: str, opts: pulumi.ResourceOptions, **settings: Any) -> Part[R]:
    """Make a resource and keep its settings."""
    return Part(kind(name, opts=opts, **settings), f"{kind.__name__} {name}", settings)


def triggers(parts: Iterable[Part[Any]]) -> dict[str, pulumi.Output[str]]:
    """Changes when, and only when, a deployment of the parts would serve something else.

    One entry per part, so that a preview shows which of them asks for the deployment.
    """
    return {
        item.label: pulumi.Output.concat(
            item.resource.id,
            " ",
            json_document(item.settings, sort_keys=True).apply(
                lambda text: hashlib.sha256(text.encode()).hexdigest()[:16]
            ),
        )
        for item in parts
    }


def slug(path: str) -> str:
    """The path as part of a resource's name."""
    return re.sub(r"[{}+]", "", path).strip("/").replace("/", "-") or "root"


def parents(path: str) -> list[str]:
    """The path and those above it, from the first segment on."""
    segments = path.strip("/").split("/") if path != "/" else []
    return ["/" + "/".join(segments[: count + 1]) for count in range(len(segments))]


@dataclass(frozen=True)
class RouteTable:
    """What every route of one REST API shares."""

    name: str
    rest_api_id: pulumi.Input[str]
    root_resource_id: pulumi.Input[str]
    authorizer_id: pulumi.Input[str]
    validator_id: pulumi.Input[str]
    opts: pulumi.ResourceOptions

    def build(
        self, routes: Mapping[Route, pulumi.Input[str]], public: Collection[Route]
    ) -> list[Part[Any]]:
        """The parts that the routes add to a deployment; `routes` maps to invocation URIs."""
        ids = self._resources({route.path for route in routes})
        made: list[Part[Any]] = []
        for route, uri in routes.items():
            made += self._method(route, ids[route.path], uri, public=route in public)
        for path in sorted({route.path for route in routes}):
            made += self._cors(path, ids[path])
        return made

    def _resources(self, paths: Collection[str]) -> dict[str, pulumi.Input[str]]:
        ids: dict[str, pulumi.Input[str]] = {"/": self.root_resource_id}
        for path in sorted({above for served in paths for above in parents(served)}):
            parent, _, last = path.rpartition("/")
            ids[path] = aws.apigateway.Resource(
                f"{self.name}-{slug(path)}",
                rest_api=self.rest_api_id,
                parent_id=ids[parent or "/"],
                path_part=last,
                opts=self.opts,
            ).id
        return ids

    def _method(
        self, route: Route, resource_id: pulumi.Input[str], uri: pulumi.Input[str], *, public: bool
    ) -> list[Part[Any]]:
        name = f"{self.name}-{route.label}"
        method = self._part(
            aws.apigateway.Method,
            name,
            resource_id,
            http_method=route.method,
            authorization="NONE" if public else "COGNITO_USER_POOLS",
            authorizer_id=None if public else self.authorizer_id,
            api_key_required=not public,
            request_parameters=route.parameters,
            request_validator_id=self.validator_id,
        )
        integration = self._part(
            aws.apigateway.Integration,
            name,
            resource_id,
            http_method=method.resource.http_method,
            type="AWS_PROXY",
            integration_http_method="POST",
            uri=uri,
        )
        return [method, integration]

    def _cors(self, path: str, resource_id: pulumi.Input[str]) -> list[Part[Any]]:
        """Preflight requests carry neither key nor token, so the gateway answers them."""
        name = f"{self.name}-{slug(path)}-options"
        method = self._part(
            aws.apigateway.Method,
            name,
            resource_id,
            http_method="OPTIONS",
            authorization="NONE",
            request_validator_id=self.validator_id,
        )
        integration = self._part(
            aws.apigateway.Integration,
            name,
            resource_id,
            http_method=method.resource.http_method,
            type="MOCK",
            request_templates={"application/json": '{"statusCode": 204}'},
        )
        response = self._part(
            aws.apigateway.MethodResponse,
            name,
            resource_id,
            http_method=method.resource.http_method,
            status_code="204",
            response_parameters={
                f"method.response.header.{header}": True for header in CORS_HEADERS
            },
        )
        answer = self._part(
            aws.apigateway.IntegrationResponse,
            name,
            resource_id,
            http_method=integration.resource.http_method,
            status_code=response.resource.status_code,
            response_parameters={
                f"method.response.header.{header}": f"'{value}'"
                for header, value in CORS_HEADERS.items()
            },
        )
        return [method, integration, response, answer]

    def _part(
        self, kind: type[R], name: str, resource_id: pulumi.Input[str], **settings: Any
    ) -> Part[R]:
        place = {"rest_api": self.rest_api_id, "resource_id": resource_id}
        return part(kind, name, self.opts, **place, **settings)

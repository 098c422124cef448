"""The routes that functions/uploads serves; the API's own document describes them as well."""

from __future__ import annotations

from typing import NamedTuple


class BinaryRoute(NamedTuple):
    """A method on a path below `/Binary`. `name` is the interaction's or the operation's."""

    method: str
    template: str
    name: str


BINARY_ROUTES = (
    BinaryRoute("POST", "/Binary", "create"),
    BinaryRoute("GET", "/Binary/{id}", "read"),
    BinaryRoute("PUT", "/Binary/{id}", "update"),
    BinaryRoute("DELETE", "/Binary/{id}", "delete"),
    BinaryRoute("GET", "/Binary/{id}/_history/{version}", "vread"),
    BinaryRoute("GET", "/Binary/{id}/$upload-status", "upload-status"),
    BinaryRoute("POST", "/Binary/{id}/$upload-parts", "upload-parts"),
    BinaryRoute("POST", "/Binary/{id}/$complete", "complete"),
    BinaryRoute("POST", "/Binary/{id}/$abort", "abort"),
    BinaryRoute("POST", "/Binary/{id}/$erase", "erase"),
)

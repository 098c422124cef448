"""Fixtures of unit tests: an issuer of tokens."""

from tests.issuer import issuer, pool

__all__ = ["issuer", "pool"]

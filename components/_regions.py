"""Regions that are the same for every stack."""

GLOBAL_REGION = "us-east-1"
"""Where CloudFront's firewall, logs, metrics and certificates are, and the account's charges,
whatever the stack's region."""

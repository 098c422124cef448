"""Takes away large bodies that no version names. For operators with AWS credentials.

    pulumi stack output --json --show-secrets > stack.json
    python -m tools.sweep --stack stack.json
    python -m tools.sweep --stack stack.json --remove

A large body is stored before its version. A function that is killed between the two leaves the
body: nobody can read it, and no erasure finds it, since it belongs to no resource. They are told,
and with `--remove` get delete markers. The bucket keeps what is under one for 30 days, in which
`tools.restore objects` brings back what a version names after all; then it is gone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

from tools.restore import is_a_body

AGE = timedelta(days=1)
"""What is younger may belong to a write that goes on; none takes as long."""


def unused(s3: Any, bucket: str, before: datetime) -> Iterator[str]:
    """Keys of the overflow bucket, written before a time, that no version names."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for found in page.get("Contents", ()):
            if found["LastModified"] < before and not is_a_body(found["Key"]):
                yield found["Key"]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("tools.sweep", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--stack", type=Path, required=True, help="JSON of the stack's outputs")
    parser.add_argument("--remove", action="store_true", help="put delete markers over them")
    asked = parser.parse_args(arguments)
    content = json.loads(asked.stack.read_text())
    outputs = content.get("outputs", content)
    os.environ |= {
        "AWS_DEFAULT_REGION": outputs["region"],
        "TABLE_NAME": outputs["table_name"],
    }
    s3, bucket = boto3.client("s3"), outputs["overflow_bucket"]
    count = 0
    for key in unused(s3, bucket, datetime.now(UTC) - AGE):
        count += 1
        print(key)
        if asked.remove:
            s3.delete_object(Bucket=bucket, Key=key)
    print(f"{bucket}: {count} bodies without a version{' removed' if asked.remove else ''}")


if __name__ == "__main__":
    main(sys.argv[1:])

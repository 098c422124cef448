"""Metrics of our own: lines of the log that CloudWatch makes metrics of, so that nobody waits.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import sys
import time

NAMESPACE = "AI4H"


def count(name: str, number: float, **dimensions: str) -> None:
    """A number of things at this moment. Dimensions are kinds, never somebody's: each combination
    of their values is a metric, which is paid for and kept for 15 months.
    """
    described = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name, "Unit": "Count"}],
    }
    line = {
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [described]},
        **dimensions,
        name: number,
    }
    sys.stdout.write(json.dumps(line) + "\n")

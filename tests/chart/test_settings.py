"""The settings overlay in a stand-in of EvalAI, with the environment that the chart gives it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.chart import upstream
from tests.chart.rendering import named, pods, resources

SECRETS = {
    "SECRET_KEY": "only-for-tests-7Yp2mQ9vX4kL8wB1nR6tD3sF5hJ0gZcA-9aEuWi",
    # Nothing listens there, and the probe keeps reports from leaving.
    "SENTRY_URL": "http://key@127.0.0.1:9/1",
    "SENDGRID_API_KEY": "unused",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return upstream.source_tree(tmp_path_factory.mktemp("evalai") / "code")


@pytest.fixture(scope="module")
def environment(tree: Path) -> dict[str, str]:
    """Variables of the web pod; those of secrets and of the pod itself filled in."""
    rendered = resources("prod")
    (web,) = pods(rendered)["web"]["spec"]["containers"]
    variables = dict(named(rendered, "ConfigMap", "evalai-environment")["data"])
    for entry in web["env"]:
        variables[entry["name"]] = entry.get("value") or SECRETS.get(entry["name"], "10.0.1.2")
    variables["RDS_PASSWORD_FILE"] = str(tree / "password")
    # As IRSA's credentials would be found: by boto3, not by the settings.
    variables |= {"AWS_ACCESS_KEY_ID": "key-of-the-role", "AWS_SECRET_ACCESS_KEY": "secret"}
    return variables


@pytest.fixture(scope="module")
def probed(tree: Path, environment: dict[str, str]) -> dict[str, Any]:
    Path(environment["RDS_PASSWORD_FILE"]).write_text("first\n", encoding="utf-8")
    done = _run(tree, environment)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "log": done.stderr}


def _run(tree: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [upstream.python(), "probe.py"],
        cwd=tree,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
    )


def test_deployment_check_is_clean(probed: dict[str, Any]) -> None:
    assert "System check identified no issues (0 silenced)" in probed["log"]


def test_deployment_check_would_complain(environment: dict[str, str], tmp_path: Path) -> None:
    """What the clean check is worth: upstream's own settings don't pass it."""
    tree = upstream.source_tree(tmp_path / "code")
    done = _run(tree, {**environment, "DJANGO_SETTINGS_MODULE": "settings.prod"})
    assert done.returncode != 0
    assert "security.W008" in done.stderr  # SECURE_SSL_REDIRECT
    assert "security.W012" in done.stderr  # SESSION_COOKIE_SECURE


def test_hosts_and_transport(probed: dict[str, Any]) -> None:
    assert probed["answers"] == {
        "probe": 200,
        "load balancer's check": 200,
        "visitor": 200,
        "plain HTTP": 301,
        "other host": 400,
    }


def test_database_is_verified_and_follows_a_rotated_password(probed: dict[str, Any]) -> None:
    assert probed["database"]["sslmode"] == "verify-full"
    assert probed["passwords"] == ["first", "second"]


def test_media_is_private_and_regional(probed: dict[str, Any]) -> None:
    address = "https://ai4h-mvp-prod-evalai-media.s3.eu-central-1.amazonaws.com/media/"
    assert probed["media"].startswith(address)
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in probed["media"]
    assert probed["acl"] is None


def test_celery_has_limits_and_no_keys(probed: dict[str, Any]) -> None:
    celery = probed["celery"]
    assert (celery["time_limit"], celery["soft_time_limit"]) == (3600, 3300)
    assert celery["max_tasks_per_child"] == 100
    assert celery["transport_options"]["region"] == "eu-central-1"
    assert celery["transport_options"]["visibility_timeout"] > celery["time_limit"]
    assert celery["keys"] == [None, None]


def test_logs_go_to_the_console(probed: dict[str, Any], tree: Path) -> None:
    assert "ERROR django.request a line of the log" in probed["log"]
    # Where upstream's settings log to.
    assert not (tree / "django.log").exists()


def test_error_reports_hold_no_data(probed: dict[str, Any]) -> None:
    report = probed["report"]
    assert report["options"] == {"send_default_pii": False, "traces_sample_rate": 0}
    (event,) = json.loads(report["event"])
    (error,) = event["exception"]["values"]
    assert error["type"] == "ValueError"
    assert not any("vars" in frame for frame in error["stacktrace"]["frames"])
    assert not {"request", "user", "breadcrumbs", "extra"} & set(event)


def test_cache_and_cap_are_the_charts(probed: dict[str, Any]) -> None:
    assert probed["cache"] == "evalai-memcached:11211"
    (web,) = pods(resources("prod"))["web"]["spec"]["containers"]
    assert f"--limit-post={probed['upload']}" in web["command"]
    assert probed["upload"] == 200 * 1024 * 1024

"""What a pull request changes in a stack's resources, told by the real engine."""

import subprocess
from pathlib import Path

import pytest

from tests.engine.workspace import environment_of_projects
from tools.resource_changes import PreviewError, report

SETTINGS = """\
secretsprovider: awskms://alias/state?region=eu-central-1
encryptedkey: bm90IGZvciBmb3Jrcw==
config:
  aws:region: eu-central-1
  shop:days: 7
  shop:password:
    secure: AAABAIlOZfy0o
"""
BEFORE = """\
import pulumi, pulumi_aws as aws
config = pulumi.Config()
for name in ("kept", "removed"):
    aws.s3.Bucket(name)
aws.s3.Bucket("moved", bucket="shop-old")
aws.sqs.Queue("orders", message_retention_seconds=config.require_int("days") * 86400)
password = config.require_secret("password")
aws.secretsmanager.SecretVersion("key", secret_id="x", secret_string=password)
"""
AFTER = (
    BEFORE.replace('"kept", "removed"', '"kept", "added"')
    .replace("shop-old", "shop-new")
    .replace('secret("password")', 'secret("password").apply(lambda text: text * 2)')
)
REPORT = """\
### Stack `dev`: 1 deleted, 1 replaced, 1 created, 2 updated

```diff
- deleted  aws:s3/bucket:Bucket removed
! replaced aws:s3/bucket:Bucket moved: bucket "shop-old" → "shop-new" (forces it)
+ created  aws:s3/bucket:Bucket added
# updated  aws:secretsmanager/secretVersion:SecretVersion key: secretString
# updated  aws:sqs/queue:Queue orders: messageRetentionSeconds 604800 → 1209600
```
"""


def git(repository: Path, *command: str) -> None:
    somebody = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run(["git", *somebody, *command], cwd=repository, check=True, capture_output=True)


@pytest.fixture
def repository(pulumi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose last commit is deployed, and whose checkout isn't committed yet."""
    monkeypatch.setenv("PATH", environment_of_projects(tmp_path / "tools", pulumi)["PATH"])
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (project / "Pulumi.dev.yaml").write_text(SETTINGS)
    (project / "__main__.py").write_text(BEFORE)
    git(project, "init", "--quiet")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "-m", "Before")
    return project


def test_what_is_lost_is_told_first(repository: Path) -> None:
    """No key and no credentials: the stack's secrets are encrypted with a key on AWS."""
    (repository / "__main__.py").write_text(AFTER)
    (repository / "Pulumi.dev.yaml").write_text(SETTINGS.replace("days: 7", "days: 14"))
    assert report("HEAD", "dev", repository) == REPORT


def test_a_base_that_fails_and_a_checkout_that_does(repository: Path) -> None:
    (repository / "__main__.py").write_text("raise ValueError('what is wrong')")
    with pytest.raises(PreviewError, match="what is wrong"):
        report("HEAD", "dev", repository)
    git(repository, "commit", "--quiet", "--all", "-m", "Broken")
    (repository / "__main__.py").write_text(BEFORE)
    told = report("HEAD", "dev", repository)
    assert "HEAD can't be deployed, so everything is new" in told
    assert "what is wrong" in told
    assert "+ created  aws:s3/bucket:Bucket kept" in told

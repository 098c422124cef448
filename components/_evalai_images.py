"""EvalAI's images: repositories that scan what is pushed, and the build that fills them.

Docker runs in CodeBuild; `make images` starts it and waits. A tag says what images were made of:
the commit of EvalAI, and a hash of images/.
"""

import json
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from ._arns import arn
from ._buckets import bucket_policy, log_access, private_bucket
from ._functions import code_hash
from ._order import after
from ._policy_documents import allow, policy_document, service_trust

SOURCES = Path(__file__).parents[1] / "images"
# Beside its own folder, what the Dockerfiles copy: the runner, and the settings that static files
# are collected with.
COPIED = (SOURCES.parent / "runner", SOURCES.parent / "charts" / "evalai" / "settings")
NAMES = ("evalai-frontend", "evalai-runner", "evalai-web", "evalai-worker", "memcached")
BUILDER_IMAGE = "aws/codebuild/amazonlinux-x86_64-standard:5.0"
BUILD_MINUTES = 60
KEPT_IMAGES = 10
PUSH_ACTIONS = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
]


def source_files() -> dict[str, Path]:
    """What the build works with, by path in its archive."""
    found = (
        path for root in (SOURCES, *COPIED) for path in sorted(root.rglob("*")) if path.is_file()
    )
    files = [p for p in found if p.suffix != ".md" and "__pycache__" not in p.parts]
    return {path.relative_to(SOURCES.parent).as_posix(): path for path in files}


def image_tag() -> str:
    """Tag of the images that the files here make."""
    upstream = (SOURCES / "upstream.env").read_text(encoding="utf-8")
    settings = dict(line.split("=", 1) for line in upstream.splitlines() if "=" in line)
    return f"{settings['EVALAI_COMMIT']}-{code_hash(source_files())[:8]}"


class EvalAiImages:
    """The repositories, and the CodeBuild project that builds from images/ and pushes to them."""

    def __init__(
        self,
        name: str,
        *,
        prefix: str,
        key: aws.kms.Key,
        log_retention_days: int,
        protect: bool,
        opts: pulumi.ResourceOptions,
    ) -> None:
        self._name, self._key, self._opts = name, key, opts
        self._registry = pulumi.Output.concat(
            *(aws.get_caller_identity_output().account_id, ".dkr.ecr."),
            *(aws.get_region_output().region, "."),
            *(aws.get_partition_output().dns_suffix, "/", prefix),
        )
        self._repositories = {
            image: self._repository(f"{prefix}/{image}", image, protect) for image in NAMES
        }
        self.project = self._project(log_retention_days)

    def repository_url(self, image: str) -> pulumi.Output[str]:
        """Where an image is pulled from, without tag."""
        return pulumi.Output.concat(self._registry, "/", image)

    def _repository(self, path: str, image: str, protect: bool) -> aws.ecr.Repository:
        repository = aws.ecr.Repository(
            f"{self._name}-{image}",
            name=path,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": self._key.arn}],
            force_delete=not protect,
            opts=self._opts,
        )
        rule = {
            "rulePriority": 1,
            "description": f"The last {KEPT_IMAGES}",
            "selection": {
                "tagStatus": "any",
                "countType": "imageCountMoreThan",
                "countNumber": KEPT_IMAGES,
            },
            "action": {"type": "expire"},
        }
        aws.ecr.LifecyclePolicy(
            f"{self._name}-{image}",
            repository=repository.name,
            policy=json.dumps({"rules": [rule]}),
            opts=self._opts,
        )
        return repository

    def _project(self, log_retention_days: int) -> aws.codebuild.Project:
        source = self._source()
        logs = aws.cloudwatch.LogGroup(
            f"{self._name}-builds",
            kms_key_id=self._key.arn,
            retention_in_days=log_retention_days,
            opts=self._opts,
        )
        location = pulumi.Output.concat(source.bucket, "/", source.key)
        role, permissions = self._role(location, logs.arn)
        return aws.codebuild.Project(
            self._name,
            description="Builds EvalAI's images and pushes them",
            service_role=role.arn,
            build_timeout=BUILD_MINUTES,
            concurrent_build_limit=1,
            encryption_key=self._key.arn,
            source={
                "type": "S3",
                "location": location,
                "buildspec": "images/buildspec.yml",
            },
            artifacts={"type": "NO_ARTIFACTS"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": BUILDER_IMAGE,
                "compute_type": "BUILD_GENERAL1_MEDIUM",
                "privileged_mode": True,  # for Docker
                "environment_variables": [
                    {"name": "REGISTRY", "value": self._registry},
                    {"name": "TAG", "value": image_tag()},
                ],
            },
            logs_config={"cloudwatch_logs": {"group_name": logs.name}},
            opts=after(self._opts, permissions),
        )

    def _source(self) -> aws.s3.BucketObjectv2:
        bucket = private_bucket(f"{self._name}-source", key_arn=self._key.arn, opts=self._opts)
        bucket_policy(f"{self._name}-source", bucket)
        log_access(f"{self._name}-source-logs", bucket, opts=self._opts)
        files = source_files()
        return aws.s3.BucketObjectv2(
            f"{self._name}-source",
            bucket=bucket.id,
            key=f"{image_tag()}.zip",
            source=pulumi.AssetArchive(
                {inside: pulumi.FileAsset(str(path)) for inside, path in files.items()}
            ),
            opts=pulumi.ResourceOptions(parent=bucket),
        )

    def _role(
        self, source: pulumi.Output[str], log_group_arn: pulumi.Output[str]
    ) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        role = aws.iam.Role(
            self._name,
            description="Builds EvalAI's images",
            assume_role_policy=service_trust("codebuild.amazonaws.com"),
            opts=self._opts,
        )
        repositories = [repository.arn for repository in self._repositories.values()]
        statements: list[dict[str, Any]] = [
            allow(PUSH_ACTIONS, repositories),
            allow(["ecr:GetAuthorizationToken"], "*"),  # knows no resource
            allow(["s3:GetObject", "s3:GetObjectVersion"], arn("s3", source)),
            allow(["kms:Decrypt", "kms:GenerateDataKey"], self._key.arn),
            allow(
                ["logs:CreateLogStream", "logs:PutLogEvents"],
                pulumi.Output.concat(log_group_arn, ":*"),
            ),
        ]
        permissions = aws.iam.RolePolicy(
            self._name,
            role=role.name,
            policy=policy_document(statements),
            opts=self._opts,
        )
        return role, permissions

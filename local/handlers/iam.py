"""Identity and Access Management: roles and policies, which the local AWS enforces."""

from typing import Any

from local.handlers.base import Anew, Aws, Handler, Properties, absent_is_fine, physical_name

TRUST = "who may assume a role isn't checked here, but for web identities: their claims are"


class Role(Handler):
    """A role. Its inline and attached policies are resources of their own."""

    fixed = frozenset({"name", "namePrefix", "path"})
    own = ("forceDetachPolicies", "managedPolicyArns", "inlinePolicies", "namePrefix", "name")

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        role_name = physical_name(name, inputs)
        rename = {"assumeRolePolicy": "assumeRolePolicyDocument"}
        role = aws.call(
            "iam", "create_role", inputs, leave=self.own, rename=rename, RoleName=role_name
        )["Role"]
        self._policies(aws, role_name, inputs)
        aws.note(TRUST)
        return role_name, {"name": role_name, "arn": role["Arn"], "uniqueId": role["RoleId"]}

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        iam = aws.of("iam")
        iam.update_assume_role_policy(RoleName=identity, PolicyDocument=inputs["assumeRolePolicy"])
        iam.update_role(
            RoleName=identity, Description=inputs.get("description", ""),
            MaxSessionDuration=inputs.get("maxSessionDuration", 3600),
        )  # fmt: skip
        if "permissionsBoundary" in inputs:
            iam.put_role_permissions_boundary(
                RoleName=identity, PermissionsBoundary=inputs["permissionsBoundary"]
            )
        elif "permissionsBoundary" in outputs:
            iam.delete_role_permissions_boundary(RoleName=identity)
        self._policies(aws, identity, inputs)
        aws.note(TRUST)
        return {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        iam = aws.of("iam")
        for policy in iam.list_attached_role_policies(RoleName=identity)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=identity, PolicyArn=policy["PolicyArn"])
        for policy in iam.list_role_policies(RoleName=identity)["PolicyNames"]:
            iam.delete_role_policy(RoleName=identity, PolicyName=policy)
        iam.delete_role(RoleName=identity)

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("iam").get_role(RoleName=identity)

    def _policies(self, aws: Aws, role: str, inputs: Properties) -> None:
        iam = aws.of("iam")
        for arn in inputs.get("managedPolicyArns") or []:
            iam.attach_role_policy(RoleName=role, PolicyArn=arn)
        for policy in inputs.get("inlinePolicies") or []:
            iam.put_role_policy(
                RoleName=role, PolicyName=policy["name"], PolicyDocument=policy["policy"]
            )


class RolePolicy(Handler):
    """An inline policy of a role."""

    fixed = frozenset({"role", "name", "namePrefix"})

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        policy = physical_name(name, inputs, longest=128)
        self._put(aws, inputs["role"], policy, inputs)
        return f"{inputs['role']}:{policy}", {"name": policy}

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        self._put(aws, inputs["role"], outputs["name"], inputs)
        return {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of("iam").delete_role_policy(RoleName=outputs["role"], PolicyName=outputs["name"])

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("iam").get_role_policy(RoleName=outputs["role"], PolicyName=outputs["name"])

    def _put(self, aws: Aws, role: str, policy: str, inputs: Properties) -> None:
        aws.of("iam").put_role_policy(
            RoleName=role, PolicyName=policy, PolicyDocument=inputs["policy"]
        )


class RolePolicyAttachment(Anew):
    """A managed policy attached to a role."""

    delete_first = True

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        aws.of("iam").attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])
        return f"{inputs['role']}/{inputs['policyArn']}", {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of("iam").detach_role_policy(RoleName=outputs["role"], PolicyArn=outputs["policyArn"])

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        attached = aws.of("iam").list_attached_role_policies(RoleName=outputs["role"])
        arns = [policy["PolicyArn"] for policy in attached["AttachedPolicies"]]
        return outputs["policyArn"] in arns


class Policy(Handler):
    """A managed policy."""

    fixed = frozenset({"name", "namePrefix", "path", "description"})

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        policy_name = physical_name(name, inputs, longest=128)
        policy = aws.call(
            "iam", "create_policy", inputs, leave=("name", "namePrefix", "policy"),
            PolicyName=policy_name, PolicyDocument=inputs["policy"],
        )["Policy"]  # fmt: skip
        return policy["Arn"], {
            "name": policy_name, "arn": policy["Arn"], "policyId": policy["PolicyId"]
        }  # fmt: skip

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        iam = aws.of("iam")
        for version in iam.list_policy_versions(PolicyArn=identity)["Versions"]:
            if not version["IsDefaultVersion"]:  # AWS keeps five
                iam.delete_policy_version(PolicyArn=identity, VersionId=version["VersionId"])
        iam.create_policy_version(
            PolicyArn=identity, PolicyDocument=inputs["policy"], SetAsDefault=True
        )
        return {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        iam = aws.of("iam")
        for version in iam.list_policy_versions(PolicyArn=identity)["Versions"]:
            if not version["IsDefaultVersion"]:
                with absent_is_fine():
                    iam.delete_policy_version(PolicyArn=identity, VersionId=version["VersionId"])
        iam.delete_policy(PolicyArn=identity)

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("iam").get_policy(PolicyArn=identity)


HANDLERS: dict[str, Handler] = {
    "aws:iam/role:Role": Role(),
    "aws:iam/rolePolicy:RolePolicy": RolePolicy(),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": RolePolicyAttachment(),
    "aws:iam/policy:Policy": Policy(),
}

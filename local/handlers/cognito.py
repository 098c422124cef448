"""Cognito: user pools with their groups, clients and sign-in pages."""

from typing import Any

from local.handlers.base import Anew, Aws, Handler, Properties, physical_name

SERVICE = "cognito-idp"
POOL = {"tags": "userPoolTags", "schemas": "schema"}


class UserPool(Handler):
    """A user pool that really signs tokens and speaks SRP."""

    fixed = frozenset({"aliasAttributes", "usernameAttributes", "usernameConfiguration", "schemas"})
    own = ("name", "passwordPolicy", "mfaConfiguration", "softwareTokenMfaConfiguration",
           "signInPolicy")  # fmt: skip

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        pool_name = physical_name(name, inputs, longest=128)
        pool = aws.call(
            SERVICE, "create_user_pool", inputs | self._policies(inputs), leave=self.own,
            rename=POOL, PoolName=pool_name,
        )["UserPool"]  # fmt: skip
        self._second_factor(aws, pool["Id"], inputs)
        self._notes(aws, inputs)
        region = inputs.get("region") or aws.clients.region
        return pool["Id"], {
            "name": pool_name, "arn": pool["Arn"],
            "endpoint": f"cognito-idp.{region}.amazonaws.com/{pool['Id']}",
        }  # fmt: skip

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        leave = (*self.own, *self.fixed)
        aws.call(
            SERVICE, "update_user_pool", inputs | self._policies(inputs), leave=leave,
            rename=POOL, UserPoolId=identity,
        )  # fmt: skip
        self._second_factor(aws, identity, inputs)
        self._notes(aws, inputs)
        return {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        cognito = aws.of(SERVICE, outputs)
        pool = cognito.describe_user_pool(UserPoolId=identity)["UserPool"]
        if pool.get("Domain"):  # AWS refuses to delete a pool that has one
            cognito.delete_user_pool_domain(UserPoolId=identity, Domain=pool["Domain"])
        cognito.delete_user_pool(UserPoolId=identity)

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of(SERVICE, outputs).describe_user_pool(UserPoolId=identity)

    def _policies(self, inputs: Properties) -> Properties:
        names = ("passwordPolicy", "signInPolicy")
        policies = {name: inputs[name] for name in names if inputs.get(name)}
        return {"policies": policies} if policies else {}

    def _second_factor(self, aws: Aws, identity: str, inputs: Properties) -> None:
        names = ("mfaConfiguration", "softwareTokenMfaConfiguration")
        wanted = {name: inputs[name] for name in names if inputs.get(name)}
        if wanted:
            aws.call(SERVICE, "set_user_pool_mfa_config", wanted, UserPoolId=identity)

    def _notes(self, aws: Aws, inputs: Properties) -> None:
        if (inputs.get("adminCreateUserConfig") or {}).get("allowAdminCreateUserOnly"):
            aws.note("here anyone on this machine may sign up")
        if inputs.get("mfaConfiguration") == "ON":
            aws.note("a second factor isn't demanded here")


class UserGroup(Handler):
    """A group of a user pool."""

    fixed = frozenset({"name", "userPoolId"})
    delete_first = True

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        group = physical_name(name, inputs, longest=128)
        aws.call(SERVICE, "create_group", inputs, leave=("name",), GroupName=group)
        return f"{inputs['userPoolId']}/{group}", {"name": group}

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        """Made anew with the members that it had: the local AWS knows no other way."""
        cognito, place = aws.of(SERVICE, inputs), self._place(outputs)
        pages = cognito.get_paginator("list_users_in_group").paginate(**place)
        members = [user["Username"] for page in pages for user in page["Users"]]
        cognito.delete_group(**place)
        self.create(aws, "", {**inputs, "name": outputs["name"]})
        for member in members:
            cognito.admin_add_user_to_group(**place, Username=member)
        return {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of(SERVICE, outputs).delete_group(**self._place(outputs))

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of(SERVICE, outputs).get_group(**self._place(outputs))

    def _place(self, outputs: Properties) -> dict[str, str]:
        return {"GroupName": outputs["name"], "UserPoolId": outputs["userPoolId"]}


class UserPoolClient(Handler):
    """An application that users sign in through."""

    fixed = frozenset({"userPoolId", "generateSecret"})

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        client_name = physical_name(name, inputs, longest=128)
        client = aws.call(
            SERVICE, "create_user_pool_client", inputs, leave=("name",), ClientName=client_name
        )["UserPoolClient"]
        secret = client.get("ClientSecret", "")
        return client["ClientId"], {"name": client_name, "clientSecret": secret}

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        aws.call(
            SERVICE, "update_user_pool_client", inputs, leave=("name", "generateSecret"),
            ClientId=identity, ClientName=outputs["name"],
        )  # fmt: skip
        return {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of(SERVICE, outputs).delete_user_pool_client(
            ClientId=identity, UserPoolId=outputs["userPoolId"]
        )

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of(SERVICE, outputs).describe_user_pool_client(
            ClientId=identity, UserPoolId=outputs["userPoolId"]
        )


class UserPoolDomain(Anew):
    """The address of the sign-in pages, which the local AWS serves at its own."""

    delete_first = True
    anew_at_start = True  # the address may have changed

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        aws.call(SERVICE, "create_user_pool_domain", inputs, leave=("certificateArn",))
        return inputs["domain"], {
            "awsAccountId": aws.clients.account,
            "domain": aws.clients.endpoint_url,  # it has one address for all services
        }

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of(SERVICE, outputs).delete_user_pool_domain(
            Domain=identity, UserPoolId=outputs["userPoolId"]
        )

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        found = aws.of(SERVICE, outputs).describe_user_pool_domain(Domain=identity)
        return found["DomainDescription"]


HANDLERS: dict[str, Handler] = {
    "aws:cognito/userPool:UserPool": UserPool(),
    "aws:cognito/userGroup:UserGroup": UserGroup(),
    "aws:cognito/userPoolClient:UserPoolClient": UserPoolClient(),
    "aws:cognito/userPoolDomain:UserPoolDomain": UserPoolDomain(),
}

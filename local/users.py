"""Demo users, one per group, with passwords of their own that stay from start to start."""

import secrets
import string
from typing import Any

from local.files import read_json, write_json
from local.handlers.base import Clients
from local.state import Resources

DOMAIN = "demo.example"  # reserved: mail to it goes nowhere
POOL = "aws:cognito/userPool:UserPool"
GROUP = "aws:cognito/userGroup:UserGroup"
KINDS = (string.ascii_lowercase, string.ascii_uppercase, string.digits, "-_.+")
LENGTH = 24

Users = dict[str, dict[str, Any]]
"""By group: username, password, groups."""


def ensure(clients: Clients, resources: Resources, path: Any) -> Users:
    """The users of every group, made where they are missing. The file has the passwords."""
    known: Users = read_json(path, {})
    (pool,) = resources.of_type(POOL)
    groups = sorted(entry.inputs["name"] for entry in resources.of_type(GROUP))
    users = {group: known.get(group) or _new(group) for group in groups}
    write_json(path, users)
    cognito = clients.of("cognito-idp")
    for group, user in users.items():
        try:
            cognito.admin_get_user(UserPoolId=pool.id, Username=user["username"])
        except cognito.exceptions.UserNotFoundException:
            _create(cognito, pool.id, group, user)
    return users


def _new(group: str) -> dict[str, Any]:
    characters = [secrets.choice(kind) for kind in KINDS]
    characters += [secrets.choice("".join(KINDS)) for _ in range(LENGTH - len(KINDS))]
    secrets.SystemRandom().shuffle(characters)
    return {"username": f"{group}-demo", "password": "".join(characters), "groups": [group]}


def _create(cognito: Any, pool_id: str, group: str, user: dict[str, Any]) -> None:
    place = {"UserPoolId": pool_id, "Username": user["username"]}
    cognito.admin_create_user(
        **place,
        MessageAction="SUPPRESS",
        UserAttributes=[
            {"Name": "email", "Value": f"{group}@{DOMAIN}"},
            {"Name": "email_verified", "Value": "true"},
        ],
    )
    cognito.admin_set_user_password(**place, Password=user["password"], Permanent=True)
    cognito.admin_add_user_to_group(**place, GroupName=group)

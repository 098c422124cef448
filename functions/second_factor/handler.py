"""Called by Cognito before it signs a user's tokens: most groups are in them with a second factor.

Where it is optional, who has set up an authenticator app is asked for its code at every sign-in,
and who hasn't isn't. Tokens are renewed through here too: what has changed since then counts.
https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html
"""

from __future__ import annotations

import json
import os
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from functions.shared.clients import cognito
from functions.shared.log import configure, fault, logger

configure()
cognito()

# Any other group needs a second factor, also one that somebody has made by hand.
EXEMPT: frozenset[str] = frozenset(json.loads(os.environ["SINGLE_FACTOR_GROUPS"]))
APP = "SOFTWARE_TOKEN_MFA"


class SecondFactorUnknownError(RuntimeError):
    """Whether the user has a second factor isn't known. Cognito shows the text at sign-in."""


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Event of version 2: the same with the groups that the tokens are to have.

    Raises SecondFactorUnknownError when Cognito doesn't answer; nobody gets a token then.
    """
    asked = event["request"]["groupConfiguration"]
    groups: list[str] = asked.get("groupsToOverride") or []
    kept = [group for group in groups if group in EXEMPT]
    if kept != groups and _has_app(event["userPoolId"], event["userName"]):
        kept = groups
    if kept != groups:
        withheld = [group for group in groups if group not in kept]
        fields = {"subject": event["request"]["userAttributes"].get("sub"), "groups": withheld}
        logger.warning("groups withheld", extra={"fields": fields})
        asked = {"groupsToOverride": kept, "iamRolesToOverride": [], "preferredRole": None}
    # Given in any case: an answer without them leaves it to Cognito.
    event["response"] = {"claimsAndScopeOverrideDetails": {"groupOverrideDetails": asked}}
    return event


def _has_app(pool_id: str, username: str) -> bool:
    try:
        user = cognito().admin_get_user(UserPoolId=pool_id, Username=username)
    except (BotoCoreError, ClientError) as error:
        logger.error(
            "second factor unknown", extra={"fields": fault(type(error), error.__traceback__)}
        )
        raise SecondFactorUnknownError("Sign-in can't be checked now. Try again later.") from None
    return APP in user.get("UserMFASettingList", ())

"""AuthPool: who may sign in, by what means, and in which groups they are."""

import hashlib
from enum import Enum
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from ._alarm_catalogue import sign_in_alarm
from ._alarms import raise_alarms
from ._dashboard_parts import sign_in_part
from ._endpoints import url
from ._keys import encryption_key, log_statement
from ._layer import FunctionPlatform
from ._second_factor import SecondFactor
from ._web_acl import Scope, sign_in_rules, web_acl

# The groups that the API's access rules know.
GROUPS = {
    "practitioner": "Clinicians and researchers: all operations on clinical data",
    "non-practitioner": "Administration: read and search financial data",
    "auditor": "Read and search patients",
    "data-owner": "Stores private datasets and grants access to them",
    "challenge-host": "Runs challenges on datasets that were granted to it",
    "admin": "Erases, reindexes and exports",
}
SINGLE_FACTOR_GROUPS = ["data-owner"]
"""What the members of the others reach isn't their own only."""
# Cognito takes an empty list for "all attributes", so one without consequence is named.
# https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-settings-attributes.html
WRITE_ATTRIBUTES = ["locale"]
READ_ATTRIBUTES = ["email", "email_verified", "locale", "name"]
PASSWORD_LENGTH = 12
TEMPORARY_PASSWORD_DAYS = 7
TOKEN_MINUTES = 60
REFRESH_HOURS = 12


class Mfa(Enum):
    """Whether a one-time code of an authenticator app is asked for."""

    OFF = "OFF"
    """Never."""
    OPTIONAL = "OPTIONAL"
    """From users who set up an app; who has none is left out of most groups."""
    ON = "ON"
    """From everybody; who has no app yet sets one up at the first sign-in."""


class AuthPoolArgs(TypedDict):
    callback_urls: list[pulumi.Input[str]]
    """Addresses that the browser client may return to after signing in or out."""
    groups: NotRequired[dict[str, str]]
    """Groups and what their members may do. Default: the six that the API's rules know."""
    mfa: NotRequired[Mfa]
    """Whether a one-time code is asked for at sign-in. Default: ON."""
    single_factor_groups: NotRequired[list[str]]
    """With OPTIONAL, the groups that don't need a second factor: from any other one, tokens of
    users without an app leave them out. Default: data-owner, who reaches their own data only."""
    rate_limit: NotRequired[int]
    """Requests per client address and five minutes before the firewall blocks. Default: 2,000."""
    function_platform: NotRequired[FunctionPlatform]
    """Where the function that checks for a second factor runs. Default: AWS Lambda."""
    alarm_topic_arn: NotRequired[pulumi.Input[str]]
    """SNS topic that alarms go to. Default: no alarms, since nobody would hear them."""
    log_retention_days: NotRequired[int]
    """How long logs of the firewall and the function are kept, in days. Default: 365."""
    domain_prefix: NotRequired[str]
    """First label of the sign-in pages' address, unique in the region. Default: derived."""
    threat_protection: NotRequired[bool]
    """Block leaked passwords, score and log sign-ins; needs the Plus tier. Default: false."""
    password_sign_in: NotRequired[bool]
    """Let the command-line client send passwords instead of proofs (SRP). Default: false."""
    protect: NotRequired[bool]
    """Refuse to delete the pool, here and in AWS. Default: true."""


class AuthPool(pulumi.ComponentResource):
    """A Cognito user pool whose users administrators create, with groups and two clients.

    Creates: user pool, groups, a browser client (authorization code with PKCE), a command-line
    client (SRP), the domain of the sign-in pages, a firewall with its log and, when asked for,
    threat protection. Where a second factor is optional, also the function that keeps groups out
    of the tokens of users without one, and an alarm on it when there is a topic.
    """

    user_pool_id: pulumi.Output[str]
    """Id of the user pool."""
    user_pool_arn: pulumi.Output[str]
    """ARN of the user pool."""
    issuer: pulumi.Output[str]
    """`iss` of the tokens; their keys are at `{issuer}/.well-known/jwks.json`."""
    browser_client_id: pulumi.Output[str]
    """Client of the portal: authorization code with PKCE, no secret."""
    cli_client_id: pulumi.Output[str]
    """Client of command-line tools: SRP, no secret."""
    hosted_ui_url: pulumi.Output[str]
    """Base address of the sign-in pages."""
    dashboard: pulumi.Output[str]
    """Its part of a `Dashboard`."""

    def __init__(
        self, name: str, args: AuthPoolArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ai4h:index:AuthPool", name, {}, opts)
        self._name = name
        self._child = pulumi.ResourceOptions(parent=self)
        region = aws.get_region_output().region
        retention = int(args.get("log_retention_days", 365))
        mfa = args.get("mfa", Mfa.ON)

        key = encryption_key(
            f"{name}-logs",
            f"Logs of {name}",
            statements=[log_statement(region)],
            opts=self._child,
        )
        second_factor = (
            SecondFactor(
                name,
                exempt=args.get("single_factor_groups", SINGLE_FACTOR_GROUPS),
                platform=args.get("function_platform", FunctionPlatform.LAMBDA),
                key=key,
                log_retention_days=retention,
                opts=self._child,
            )
            if mfa is Mfa.OPTIONAL
            else None
        )
        pool = self._pool(
            mfa=mfa,
            second_factor=second_factor,
            threat_protection=args.get("threat_protection", False),
            protect=args.get("protect", True),
        )
        acl = self._firewall(pool, key, int(args.get("rate_limit", 2000)), retention)
        for group, description in args.get("groups", GROUPS).items():
            aws.cognito.UserGroup(
                f"{name}-{group}",
                name=group,
                description=description,
                user_pool_id=pool.id,
                opts=self._child,
            )
        browser = self._client("browser", pool, [], args["callback_urls"])
        cli_flows = ["ALLOW_USER_SRP_AUTH"]
        if args.get("password_sign_in", False):
            cli_flows.append("ALLOW_USER_PASSWORD_AUTH")
        cli = self._client("cli", pool, cli_flows)
        domain = aws.cognito.UserPoolDomain(
            f"{name}-domain",
            domain=args.get("domain_prefix") or derived_prefix(name),
            user_pool_id=pool.id,
            opts=self._child,
        )

        topic_arn = args.get("alarm_topic_arn")
        if second_factor and topic_arn is not None:
            alarm = sign_in_alarm(second_factor.function_name)
            raise_alarms(name, [alarm], topic_arn, self._child)

        self.user_pool_id = pool.id
        self.user_pool_arn = pool.arn
        self.issuer = pulumi.Output.concat(
            "https://cognito-idp.", region, ".amazonaws.com/", pool.id
        )
        self.browser_client_id = browser.id
        self.cli_client_id = cli.id
        self.hosted_ui_url = pulumi.Output.all(domain.domain, region).apply(
            lambda found: hosted_ui(*found)
        )
        self.dashboard = sign_in_part(
            pool,
            [("portal", browser), ("command line", cli)],
            acl,
            second_factor.function_name if second_factor else None,
        )
        self.register_outputs(
            {
                "user_pool_id": self.user_pool_id,
                "user_pool_arn": self.user_pool_arn,
                "issuer": self.issuer,
                "browser_client_id": self.browser_client_id,
                "cli_client_id": self.cli_client_id,
                "hosted_ui_url": self.hosted_ui_url,
                "dashboard": self.dashboard,
            }
        )

    def _pool(
        self,
        *,
        mfa: Mfa,
        second_factor: SecondFactor | None,
        threat_protection: bool,
        protect: bool,
    ) -> aws.cognito.UserPool:
        pool = aws.cognito.UserPool(
            f"{self._name}-users",
            user_pool_tier="PLUS" if threat_protection else "ESSENTIALS",
            user_pool_add_ons={"advanced_security_mode": "ENFORCED"} if threat_protection else None,
            admin_create_user_config={"allow_admin_create_user_only": True},
            alias_attributes=["email"],
            auto_verified_attributes=["email"],
            user_attribute_update_settings={
                "attributes_require_verification_before_updates": ["email"]
            },
            username_configuration={"case_sensitive": False},
            account_recovery_setting={
                "recovery_mechanisms": [{"name": "verified_email", "priority": 1}]
            },
            password_policy={
                "minimum_length": PASSWORD_LENGTH,
                "require_lowercase": True,
                "require_numbers": True,
                "require_symbols": True,
                "require_uppercase": True,
                "temporary_password_validity_days": TEMPORARY_PASSWORD_DAYS,
            },
            mfa_configuration=mfa.value,
            software_token_mfa_configuration={"enabled": True} if mfa is not Mfa.OFF else None,
            lambda_config=second_factor.trigger if second_factor else None,
            deletion_protection="ACTIVE" if protect else "INACTIVE",
            opts=pulumi.ResourceOptions(parent=self, protect=protect, retain_on_delete=protect),
        )
        if second_factor:
            second_factor.serve(pool)
        if threat_protection:
            aws.cognito.RiskConfiguration(
                f"{self._name}-risk",
                user_pool_id=pool.id,
                compromised_credentials_risk_configuration={"actions": {"event_action": "BLOCK"}},
                opts=self._child,
            )
        return pool

    def _firewall(
        self, pool: aws.cognito.UserPool, key: aws.kms.Key, rate_limit: int, retention: int
    ) -> aws.wafv2.WebAcl:
        acl = web_acl(
            f"{self._name}-firewall",
            scope=Scope.REGION,
            rules=sign_in_rules(rate_limit),
            key_arn=key.arn,
            retention_days=retention,
            opts=self._child,
        )
        aws.wafv2.WebAclAssociation(
            f"{self._name}-firewall",
            resource_arn=pool.arn,
            web_acl_arn=acl.arn,
            opts=self._child,
        )
        return acl

    def _client(
        self,
        purpose: str,
        pool: aws.cognito.UserPool,
        flows: list[str],
        callback_urls: list[pulumi.Input[str]] | None = None,
    ) -> aws.cognito.UserPoolClient:
        """A client without a secret; with callback addresses, for the code flow with PKCE."""
        code_flow = callback_urls is not None
        return aws.cognito.UserPoolClient(
            f"{self._name}-{purpose}",
            user_pool_id=pool.id,
            generate_secret=False,
            explicit_auth_flows=[*flows, "ALLOW_REFRESH_TOKEN_AUTH"],
            allowed_oauth_flows_user_pool_client=code_flow,
            allowed_oauth_flows=["code"] if code_flow else None,
            # Not aws.cognito.signin.user.admin: it lets users change their own attributes.
            allowed_oauth_scopes=["openid", "email", "profile"] if code_flow else None,
            callback_urls=callback_urls,
            logout_urls=callback_urls,
            supported_identity_providers=["COGNITO"] if code_flow else None,
            prevent_user_existence_errors="ENABLED",
            enable_token_revocation=True,
            id_token_validity=TOKEN_MINUTES,
            access_token_validity=TOKEN_MINUTES,
            refresh_token_validity=REFRESH_HOURS,
            token_validity_units={
                "id_token": "minutes",
                "access_token": "minutes",
                "refresh_token": "hours",
            },
            read_attributes=READ_ATTRIBUTES,
            write_attributes=WRITE_ATTRIBUTES,
            opts=self._child,
        )


def hosted_ui(domain: str, region: str) -> str:
    """Address of the sign-in pages at a prefix; what stands in for them elsewhere is a URL."""
    return url(domain if "://" in domain else f"{domain}.auth.{region}.amazoncognito.com")


def derived_prefix(name: str) -> pulumi.Output[str]:
    """A prefix that no other account, region or stack has taken, without showing the account."""

    def prefix(values: list[str]) -> str:
        owner = [*values, pulumi.get_project(), pulumi.get_stack(), name]
        digest = hashlib.sha256("/".join(owner).encode()).hexdigest()
        return f"{pulumi.get_project()}-{pulumi.get_stack()}-{digest[:10]}"

    return pulumi.Output.all(
        aws.get_caller_identity_output().account_id, aws.get_region_output().region
    ).apply(prefix)

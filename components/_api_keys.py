"""API keys: who holds which, which generations are valid, and what a holder may ask for."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class GatewayThrottleArgs(TypedDict):
    """What the holder of one API key may ask for."""

    rate: NotRequired[float]
    """Requests per second of one API key, sustained. Default: 50."""
    burst: NotRequired[int]
    """Requests of one API key at once. Default: 100."""
    requests_per_day: NotRequired[int]
    """Requests of one API key per day. Default: 500,000."""


DEFAULTS: Mapping[str, float] = {"rate": 50, "burst": 100, "requests_per_day": 500_000}


class Limits(NamedTuple):
    """The same, each with a value."""

    rate: float
    burst: int
    requests_per_day: int


class GatewayKeyArgs(TypedDict):
    """Who holds an API key."""

    name: str
    """The holder: small letters and digits, with hyphens between."""
    generations: NotRequired[list[int]]
    """Numbers of the keys that are valid, each a value of its own, the newest last. To rotate, add
    the next; once the holder uses that, take the one before out. Default: the first."""
    throttle: NotRequired[GatewayThrottleArgs]
    """Limits of its own, for each of its keys. What isn't named is as for the others."""


def parse_api_keys(given: Any) -> list[GatewayKeyArgs]:
    """The holders, checked. ValueError with the first that is wrong, and what is right."""
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise ValueError("a list is wanted, e.g. [{name: portal}]")
    holders = [_holder(each) for each in given]
    names = [holder["name"] for holder in holders]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{twice[0]} is there twice: list its generations in one entry")
    return holders


def _holder(given: Any) -> GatewayKeyArgs:
    if not isinstance(given, Mapping) or not NAME.fullmatch(str(given.get("name", ""))):
        raise ValueError(
            f"{given!r} isn't a holder; one is {{name: hospital-a}}, of small letters, digits and"
            " hyphens"
        )
    name = given["name"]
    _no_others(name, given, GatewayKeyArgs)
    holder: GatewayKeyArgs = {"name": name}
    if "generations" in given:
        numbers = [_whole(f"{name}: generations", each) for each in given["generations"]]
        if not numbers or numbers != sorted(set(numbers)):
            raise ValueError(f"{name}: generations are numbers that rise, the newest last: [1, 2]")
        holder["generations"] = numbers
    if "throttle" in given:
        limits = given["throttle"]
        _no_others(f"{name}: throttle", limits, GatewayThrottleArgs)
        for limit, value in limits.items():
            if limit != "rate":
                _whole(f"{name}: {limit}", value)
            elif isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
                raise ValueError(f"{name}: rate is a number above 0, not {value!r}")
        holder["throttle"] = limits
    return holder


def _no_others(what: str, given: Mapping[str, Any], known: type[Any]) -> None:
    if unknown := sorted(set(given) - set(known.__annotations__)):
        allowed = ", ".join(known.__annotations__)
        raise ValueError(f"{what}: {unknown[0]} isn't known; there are {allowed}")


def _whole(what: str, value: Any) -> int:
    """Other languages' numbers come as floats."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 1 or value % 1:
        raise ValueError(f"{what}: whole numbers from 1 on, not {value!r}")
    return int(value)


def stage_limits(
    throttle: GatewayThrottleArgs, holders: Sequence[GatewayKeyArgs]
) -> tuple[float, int]:
    """Rate and burst of all keys together: ten times a key's, and never less than one may have."""
    limits = _limits(throttle, None)
    own = [_limits(throttle, holder) for holder in holders]
    return (
        max([10 * limits.rate, *(each.rate for each in own)]),
        max([10 * limits.burst, *(each.burst for each in own)]),
    )


class ApiKeys:
    """The holders' keys, a secret with each one's newest, and the usage plans that meter them."""

    def __init__(
        self,
        name: str,
        holders: Sequence[GatewayKeyArgs],
        *,
        api_id: pulumi.Input[str],
        stage: aws.apigateway.Stage,
        throttle: GatewayThrottleArgs,
        key: aws.kms.Key,
        opts: pulumi.ResourceOptions,
    ) -> None:
        """`throttle` is for holders without limits of their own, `key` encrypts the secrets."""
        self._name, self._opts = name, opts
        self._api_id, self._stage = api_id, stage
        self.newest: dict[str, aws.apigateway.ApiKey] = {}
        """By holder."""
        self.secrets: dict[str, aws.secretsmanager.Secret] = {}
        """By holder; the value of its newest key."""
        self.plan = self._plan(f"{name}-plan", _limits(throttle, None))
        """Of holders without limits of their own."""
        for holder in holders:
            self._issue(holder, throttle, key)

    def _issue(
        self, holder: GatewayKeyArgs, throttle: GatewayThrottleArgs, key: aws.kms.Key
    ) -> None:
        label = holder["name"]
        resource = f"{self._name}-key-{label}"
        plan = (
            self._plan(f"{self._name}-plan-{label}", _limits(throttle, holder))
            if "throttle" in holder
            else self.plan
        )
        # Among its outputs is the key's value, which the SDK doesn't take for secret here. A key
        # can't be in two plans of a stage, so it leaves one before it joins the other.
        membership = pulumi.ResourceOptions.merge(
            self._opts,
            pulumi.ResourceOptions(additional_secret_outputs=["value"], delete_before_replace=True),
        )
        for generation in holder.get("generations", [1]):
            one = resource if generation == 1 else f"{resource}.{generation}"
            issued = aws.apigateway.ApiKey(one, opts=self._opts)
            aws.apigateway.UsagePlanKey(
                one, usage_plan_id=plan.id, key_id=issued.id, key_type="API_KEY", opts=membership
            )
            self.newest[label] = issued
        secret = aws.secretsmanager.Secret(
            resource, description=f"API key of {label}", kms_key_id=key.arn, opts=self._opts
        )
        aws.secretsmanager.SecretVersion(
            resource,
            secret_id=secret.id,
            secret_string=self.newest[label].value,
            opts=self._opts,
        )
        self.secrets[label] = secret

    def _plan(self, name: str, limits: Limits) -> aws.apigateway.UsagePlan:
        return aws.apigateway.UsagePlan(
            name,
            api_stages=[{"api_id": self._api_id, "stage": self._stage.stage_name}],
            throttle_settings={"rate_limit": limits.rate, "burst_limit": limits.burst},
            quota_settings={"limit": limits.requests_per_day, "period": "DAY"},
            opts=self._opts,
        )


def _limits(throttle: GatewayThrottleArgs, holder: GatewayKeyArgs | None) -> Limits:
    """All three, a holder's own before the gateway's before the defaults."""
    own: GatewayThrottleArgs = holder.get("throttle", {}) if holder else {}

    def limit(name: Literal["rate", "burst", "requests_per_day"]) -> float:
        return own.get(name, throttle.get(name, DEFAULTS[name]))

    return Limits(limit("rate"), int(limit("burst")), int(limit("requests_per_day")))

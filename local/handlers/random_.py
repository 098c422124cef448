"""The `random` provider, which needs no cloud."""

import base64
import secrets
import string
import uuid

from local.handlers.base import Anew, Aws, Handler, Properties

SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
KINDS = ("lower", "upper", "numeric", "special")


class Text(Anew):
    """A random text that stays the same until an input changes."""

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        result = _text(inputs)
        return "none", {"result": result}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        pass

    def look(self, aws: Aws, identity: str, outputs: Properties) -> bool:
        return True


class Bytes(Text):
    """Random bytes in several notations."""

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        value = secrets.token_bytes(inputs["byteLength"])
        prefix = inputs.get("prefix", "")
        url = base64.urlsafe_b64encode(value).decode().rstrip("=")
        return url, {
            "hex": prefix + value.hex(),
            "dec": prefix + str(int.from_bytes(value, "big")),
            "b64Std": prefix + base64.b64encode(value).decode(),
            "b64Url": prefix + url,
        }


class Uuid(Text):
    """A random UUID."""

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        value = str(uuid.uuid4())
        return value, {"result": value}


def _text(inputs: Properties) -> str:
    """Characters of the kinds that are wanted, at least as many of each as asked for."""
    alphabets = {
        "lower": string.ascii_lowercase, "upper": string.ascii_uppercase,
        "numeric": string.digits, "special": inputs.get("overrideSpecial") or SPECIAL,
    }  # fmt: skip
    wanted = [kind for kind in KINDS if inputs.get(kind, True)]
    chosen = [
        secrets.choice(alphabets[kind])
        for kind in wanted
        for _ in range(inputs.get(f"min{kind.capitalize()}", 0))
    ]
    everything = "".join(alphabets[kind] for kind in wanted)
    chosen += [secrets.choice(everything) for _ in range(inputs["length"] - len(chosen))]
    secrets.SystemRandom().shuffle(chosen)
    return "".join(chosen)


HANDLERS: dict[str, Handler] = {
    "random:index/randomPassword:RandomPassword": Text(),
    "random:index/randomString:RandomString": Text(),
    "random:index/randomId:RandomId": Bytes(),
    "random:index/randomUuid:RandomUuid": Uuid(),
}

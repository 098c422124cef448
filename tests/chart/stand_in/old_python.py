"""EvalAI runs on Python 3.9: what newer ones took away, as far as its libraries look for it.

To be imported first.
"""

import collections
import collections.abc
import gettext
import inspect
from typing import Any

_translation = gettext.translation


def _without_codeset(*arguments: Any, codeset: str | None = None, **named: Any) -> Any:
    return _translation(*arguments, **named)


setattr(gettext, "translation", _without_codeset)  # noqa: B010
for name in ("formatargspec", "getargspec"):
    setattr(inspect, name, None)
for name in ("Mapping", "MutableMapping", "Sequence", "Callable", "Iterable"):
    setattr(collections, name, getattr(collections.abc, name))

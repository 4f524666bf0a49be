# SPDX-License-Identifier: Apache-2.0
"""Attributes that a controller tells about itself: ``PUT .../configData``.

::

    {"mode": "merge", "data": {"hw_revision": "2", "kernel": "6.12"}}     mode: merge, replace or remove

Other names (``id``, ``time``, ``status``, which older clients send) are ignored, as hawkBit ignores them. Source:
Eclipse hawkBit, DDI API, "Feedback channel for the config data action".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from armillary.errors import InvalidArgumentError, WireError
from armillary.wire.hawkbit.feedback import visible

FORMAT: Final = "DDI config data"
MODES: Final = ("merge", "replace", "remove")
# hawkBit's limits.
MAX_ATTRIBUTES: Final = 100
MAX_NAME_CHARS: Final = 128
MAX_VALUE_CHARS: Final = 128
MAX_BODY_BYTES: Final = 64 << 10
_REMEDY: Final = "Send what hawkBit's DDI API describes."


@dataclass(frozen=True, slots=True)
class ConfigData:
    """Attributes, and what to do with those of before. The controller's word alone."""

    mode: str  # Of :data:`MODES`
    attributes: Mapping[str, str]  # With ``remove`` only the names count


def parse_config_data(document: object) -> ConfigData:
    """The attributes in a decoded JSON body; a body without a mode replaces all.

    Raises:
        WireError: it is none.
    """
    if not isinstance(document, dict) or not isinstance(document.get("data"), dict):
        raise WireError(FORMAT, expected="an object with an object data", got="something else", remedy=_REMEDY)
    mode = document.get("mode") or "replace"
    if mode not in MODES:
        raise WireError(FORMAT, expected=f"mode: one of {', '.join(MODES)}", got=f"{mode!r:.40}", remedy=_REMEDY)
    data = document["data"]
    if len(data) > MAX_ATTRIBUTES:
        raise WireError(FORMAT, expected=f"at most {MAX_ATTRIBUTES} attributes", got=str(len(data)), remedy=_REMEDY)
    return ConfigData(mode, {_name(name): _value(name, value) for name, value in data.items()})


def applied(given: ConfigData, before: Mapping[str, str]) -> dict[str, str]:
    """The attributes after a change, by name. Raises InvalidArgumentError when there are too many then."""
    if given.mode == "replace":
        return dict(sorted(given.attributes.items()))
    if given.mode == "remove":
        return {name: value for name, value in before.items() if name not in given.attributes}
    merged = dict(sorted({**before, **given.attributes}.items()))
    if len(merged) > MAX_ATTRIBUTES:
        raise InvalidArgumentError(
            f"config data: expected at most {MAX_ATTRIBUTES} attributes in all, got {len(merged)}",
            remedy="Send mode replace, or remove some.",
        )
    return merged


def _name(name: str) -> str:
    if not 1 <= len(name) <= MAX_NAME_CHARS or visible(name) != name:
        raise WireError(
            FORMAT, expected=f"names of 1 to {MAX_NAME_CHARS} visible characters", got=f"{name!a:.60}", remedy=_REMEDY
        )
    return name


def _value(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_VALUE_CHARS:
        raise WireError(
            FORMAT,
            expected=f"a text of at most {MAX_VALUE_CHARS} characters as {name!a:.40}",
            got=f"{value!r:.40}",
            remedy=_REMEDY,
        )
    return visible(value)

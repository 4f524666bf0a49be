# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a rule's form, in one line above it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from armillary.console.authored.rule_fields import GROUPS
from armillary.console.language.say import apart, say, shaped

_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "name": say("value"),
        "op": say("comparison"),
        "than": say("compared with"),
        "value": say("threshold"),
        "clear": say("clears at"),
        "aggregate": say("of it"),
        "kind": say("kind"),
        "label": say("name"),
        "to": say("to"),
        "subject": say("subject"),
        "url": say("address"),
        "secret": say("secret"),
        "method": say("command"),
        "payload": say("parameters"),
        "timeout": say("answer within"),
        "reason": say("reason"),
        "job": say("job"),
        "channel": say("channel"),
        "filter": say("property"),
        "filter_op": say("comparison"),
        "filter_value": say("value"),
        "hold": say("met for"),
        "cool_down": say("quiet after it fired for"),
        "lateness": say("wait for late values"),
        "devices": say("only these devices"),
        "template": say("device template"),
        "group": say("segment"),
        "device_group": say("device group"),
        "version_first": say("first version"),
        "window_kind": say("windows stand"),
        "match": say("fires when"),
        "quiet_times": say("quiet times"),
        "quiet_zone": say("time zone of quiet times"),
    }
)
_ROWS: Final[Mapping[str, str]] = MappingProxyType(
    {"condition": say("condition"), "action": say("action"), "filter": say("filter")}
)
# Mistakes that the line above the form says; all of them stand at their fields.
_SAID: Final = 3


def in_words(wrong: Mapping[str, str]) -> str:
    """What is wrong with a form, in one line: "Condition 1, clears at: expected at most 9, got 10"."""
    said = [say("{place}: {what}", place=_place(name), what=shaped(text, _within)) for name, text in wrong.items()]
    first = shaped(apart(said[:_SAID], "; "), _begun)
    return say("{first}; and {count} more", first=first, count=len(said) - _SAID) if len(said) > _SAID else first


def _within(text: str) -> str:
    """A sentence as a part of another."""
    return f"{text[:1].lower()}{text[1:].rstrip('.')}"


def _begun(text: str) -> str:
    return text[:1].upper() + text[1:]


def _place(name: str) -> str:
    first, _, number = name.rpartition("_")
    group = next((each for each, (members, _) in GROUPS.items() if first in members and number.isdecimal()), "")
    if not group:
        return _WORDS.get(name, name)
    return say("{row} {number}, {field}", row=_ROWS[group], number=int(number) + 1, field=_WORDS.get(first, first))

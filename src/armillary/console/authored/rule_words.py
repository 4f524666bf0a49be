# SPDX-License-Identifier: Apache-2.0
"""What the form of a rule calls comparisons, aggregates, actions and lengths of time, and what fits a value. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from armillary.console.authored.rule_fields import SILENT
from armillary.console.language.say import say
from armillary.twin.rule.rule import OPERATORS

Choices = Sequence[tuple[str, str]]

OPERATOR_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        ">": say("is above"),
        ">=": say("is at least"),
        "<": say("is below"),
        "<=": say("is at most"),
        "==": say("is"),
        "!=": say("is not"),
        "in": say("is one of"),
        "not in": say("is none of"),
        "contains": say("contains"),
        SILENT: say("sends nothing for"),
    }
)
# Kind of value -> comparisons that fit it.
FITTING: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "number": (">", ">=", "<", "<=", "==", "!=", "in", "not in"),
        "boolean": ("==", "!="),
        "enum": ("==", "!=", "in", "not in"),
        "text": ("==", "!=", "contains", "in", "not in"),
        "": tuple(OPERATORS),
    }
)
AGGREGATE_WORDS: Final[Choices] = (
    ("", say("each value")),
    ("avg", say("average of the window")),
    ("min", say("lowest of the window")),
    ("max", say("highest of the window")),
    ("sum", say("sum of the window")),
    ("count", say("number of values in the window")),
)
ACTION_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "email": say("E-mail"),
        "webhook": say("Webhook"),
        "command": say("Command to the device"),
        "job": say("Job"),
        "quarantine": say("Quarantine the device"),
        "channel": say("Notification channel"),
    }
)
WINDOW_WORDS: Final[Choices] = (
    ("sliding", say("up to the newest value")),
    ("tumbling", say("side by side, at round times")),
)
# Time zones that a browser offers; any other of the IANA's database can be typed.
ZONES: Final = (
    "UTC",
    "Europe/London",
    "Europe/Berlin",
    "Europe/Zurich",
    "Europe/Helsinki",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Asia/Dubai",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Australia/Sydney",
)
LENGTHS: Final = ("1 min", "5 min", "15 min", "1 h", "12 h", "1 day")
# How far back a rule is tried: seconds -> words.
STRETCHES: Final[Mapping[str, tuple[int, str]]] = MappingProxyType(
    {
        "hour": (3600, say("the last hour")),
        "day": (86_400, say("the last day")),
        "week": (7 * 86_400, say("the last 7 days")),
        "month": (30 * 86_400, say("the last 30 days")),
    }
)

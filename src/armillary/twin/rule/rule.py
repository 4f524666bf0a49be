# SPDX-License-Identifier: Apache-2.0
"""Rules: for which devices, with which conditions over which window, and the actions when they are met.

The frozen values of a rule, their limits, and which devices a rule is for. ``json_form.py`` reads and writes them,
``evaluate.py`` evaluates them, ``trace.py`` explains an evaluation. Nothing here reads a clock.

Terms are IoT Central's. A rule looks at one device at a time. A value is a number, a truth value or a text; names are
those of ``wire/hub/telemetry.py`` (``[component.]name``) and, for properties, ``reported.a.b``, ``desired.a``,
``tags.a`` or ``cloud.a`` (a cloud property: a value that operators keep for one device).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from armillary.twin.rule.quiet import QuietTimes
from armillary.wire.encoding.json_fields import kind_of

Value = float | bool | str

# IoT Central had 50 rules an application and 5 actions a rule; people asked for more of both.
MAX_CONDITIONS: Final = 16
MAX_FILTERS: Final = 16
MAX_ACTIONS: Final = 8
MAX_CHOICES: Final = 64
# Names and texts that people read in lists and traces.
MAX_NAME_CHARACTERS: Final = 128
MAX_TEXT_CHARACTERS: Final = 1024
# Times a rule may speak of (seconds): a month covers "no data since the last visit".
MAX_SECONDS: Final = 31 * 86_400
# How long after its end a tumbling window waits for late points unless the rule says otherwise (seconds).
LATENESS_S: Final = 5

SECTIONS: Final = ("reported", "desired", "tags", "cloud")
SEVERITIES: Final = ("info", "low", "medium", "high", "critical")  # rising, as of findings


class Aggregate(StrEnum):
    """How the points of a window become one number."""

    AVG = "avg"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    COUNT = "count"


class WindowKind(StrEnum):
    """Tumbling windows stand side by side at round times; a sliding one ends at the newest point."""

    TUMBLING = "tumbling"
    SLIDING = "sliding"


def _among(left: Any, right: Any) -> bool:
    return left in right


def _not_among(left: Any, right: Any) -> bool:
    return left not in right


# Operator of a rule -> its test of (value, operand).
OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "in": _among,
    "not in": _not_among,
    "contains": operator.contains,
}
ORDERING: Final = frozenset({">", ">=", "<", "<="})
CHOOSING: Final = frozenset({"in", "not in"})
_OF_NUMBERS: Final = ORDERING | {"==", "!="}


@dataclass(frozen=True, slots=True)
class Operand:
    """What a value is compared with."""

    # A constant (a tuple with ``in`` and ``not in``); with ``cloud_property``, what counts for a device without it
    # (None: unknown).
    value: Value | tuple[Value, ...] | None
    cloud_property: str = ""  # of the device, to compare with; "" for a constant


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition; exactly one of ``telemetry`` (without ``silent_s``), ``prop`` and ``silent_s`` leads."""

    telemetry: str = ""  # with ``silent_s``, the name that must fall silent ("" any message)
    prop: str = ""  # path of a property, such as ``reported.mode``
    silent_s: int = 0  # met when nothing came for so long; 0 for a comparison
    aggregate: Aggregate | None = None  # of the points of the rule's window; None for the newest value
    op: str = "=="  # a key of OPERATORS
    operand: Operand = Operand(None)
    # Second threshold of a hysteresis: a rule that fired is over when its value no longer meets the condition with this
    # one. None: the same threshold.
    clear: Operand | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """Which points a condition with an aggregate is about."""

    kind: WindowKind
    length_s: int
    lateness_s: int = LATENESS_S  # how long a tumbling window waits for points after its end


@dataclass(frozen=True, slots=True)
class PropertyFilter:
    """A comparison of a property; a rule is only for devices that meet it."""

    prop: str
    op: str
    value: Value | tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which devices of its catalog a rule concerns; every part that is set has to hold."""

    template: str = ""  # device template id; "" any, and devices without one
    versions: tuple[int, int] | None = None  # first and last version of the template, both included
    product: str = ""  # product name; "" any
    device_group: str = ""  # name, as in Azure Sphere; "" any
    group: str = ""  # id of a device group that is a saved query (``group.py``); "" any
    devices: tuple[str, ...] = ()  # ids; empty any
    filters: tuple[PropertyFilter, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleAction:
    """What is done when a rule fires."""

    name: str  # different for each action of a rule
    kind: str  # ``email``, ``webhook``, ``command``, ``quarantine``, ``job`` or ``channel``
    options: Mapping[str, Any]  # the kind's own fields, checked; never secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule."""

    name: str  # for people, as is ``description``
    conditions: tuple[Condition, ...]  # 1 to MAX_CONDITIONS
    description: str = ""
    severity: str = "medium"  # one of SEVERITIES
    enabled: bool = True
    target: Target = Target()
    match_all: bool = True  # all conditions have to be met, not just one
    window: Window | None = None  # for conditions with an aggregate
    hold_s: int = 0  # for which the conditions have to stay met before it fires
    cool_down_s: int = 0  # after a firing, in which it does not fire again for the device
    repeat: bool = False  # fire at each evaluation that meets the conditions, not only when they begin to be met
    quiet: QuietTimes | None = None  # in which it does not fire; None: there are none
    actions: tuple[RuleAction, ...] = ()  # may be empty: an alert is noted anyway


class Facts(NamedTuple):
    """What a rule can look at of a device besides its telemetry."""

    device_id: str
    properties: Mapping[str, Mapping[str, Any]] = {}  # ``reported``, ``desired``, ``tags`` and ``cloud`` -> document
    template: str = ""  # device template id, "" without one; ``version`` likewise
    version: int = 0
    product: str = ""  # name; ``device_group`` likewise
    device_group: str = ""
    listening_since_ms: int = 0  # since when the hub has listened: no device was silent before
    groups: frozenset[str] = frozenset()  # ids of the saved queries that rules ask for and the device meets


def property_value(facts: Facts, path: str) -> Value | None:
    """The value at a property path; None when there is none or it is an object or array."""
    section, _, rest = path.partition(".")
    found: Any = facts.properties.get(section)
    for key in rest.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(key)
    return plain(found)


def plain(found: object) -> Value | None:
    """A JSON value as a rule sees it: numbers are floats; None for what cannot be compared."""
    if isinstance(found, (bool, str, float)):
        return found
    return float(found) if isinstance(found, int) else None


def compare(value: Value | None, op: str, operand: Value | tuple[Value, ...] | None) -> bool | None:
    """Whether ``value op operand``; None where that has no answer: a side is missing or of another kind."""
    if value.__class__ is float and operand.__class__ is float and op in _OF_NUMBERS:  # nearly always
        return OPERATORS[op](value, operand)
    if value is None or operand is None:
        return None
    if isinstance(operand, tuple):
        same = any(kind_of(value) == kind_of(each) for each in operand)
        return OPERATORS[op](value, operand) if same else None
    kind = kind_of(value)
    if kind != kind_of(operand) or (kind != "number" and op in ORDERING) or (kind != "text" and op == "contains"):
        return None
    return OPERATORS[op](value, operand)


def unconcerned(target: Target, facts: Facts) -> str | None:
    """Why a rule with this target is not for a device, as a sentence; None when it is."""
    for what, wanted, got in (
        ("device template", target.template, facts.template),
        ("product", target.product, facts.product),
        ("device group", target.device_group, facts.device_group),
    ):
        if wanted and wanted != got:
            return f"the rule is for the {what} {wanted}, the device has {got or 'none'}"
    if target.versions is not None and not target.versions[0] <= facts.version <= target.versions[1]:
        first, last = target.versions
        return f"the rule is for versions {first} to {last} of the device template, the device has {facts.version}"
    if target.group and target.group not in facts.groups:
        return f"the rule is for the devices of the segment {target.group}, and this is none of them now"
    if target.devices and facts.device_id not in target.devices:
        return "the rule names its devices, and this is none of them"
    for each in target.filters:
        value = property_value(facts, each.prop)
        if not compare(value, each.op, each.value):
            shown = "no such value" if value is None else f"{value!r:.60}"
            return f"the rule's filter asks for {each.prop} {each.op} {each.value!r:.60}, the device has {shown}"
    return None


def telemetry_names(rule: Rule) -> tuple[str, ...]:
    """Names of telemetry that the rule looks at, each once, in order."""
    return tuple(dict.fromkeys(each.telemetry for each in rule.conditions if each.telemetry))


def property_paths(rule: Rule) -> tuple[str, ...]:
    """Paths of properties that the rule looks at, cloud properties of operands and filters included, each once."""
    found: list[str] = []
    for each in rule.conditions:
        found += [each.prop] if each.prop else []
        found += [f"cloud.{side.cloud_property}" for side in (each.operand, each.clear) if side and side.cloud_property]
    found += [each.prop for each in rule.target.filters]
    return tuple(dict.fromkeys(found))


def sections_of(rule: Rule) -> frozenset[str]:
    """Sections of properties (of :data:`SECTIONS`) that the rule looks at."""
    return frozenset(path.partition(".")[0] for path in property_paths(rule))


def unmodelled(rule: Rule, telemetry: Iterable[str], properties: Iterable[str]) -> list[str]:
    """Telemetry and property paths that the rule names and the device template lacks, as sentences; empty for none."""
    known, paths = set(telemetry), set(properties)
    warnings = [
        f"telemetry {name}: no device of the template has such a value; the rule waits for it as unmodelled data"
        for name in telemetry_names(rule)
        if name not in known
    ]
    warnings += [
        f"{path}: no device of the template has such a property"
        for path in property_paths(rule)
        if path not in paths and not path.startswith("tags.")
    ]
    return warnings

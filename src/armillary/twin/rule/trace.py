# SPDX-License-Identifier: Apache-2.0
"""Explains evaluations in words: why a rule fired or did not, and how each condition compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from armillary.twin.document.document import timestamp
from armillary.twin.rule.rule import Condition, Operand, Rule, Value
from armillary.twin.rule.table import Cause, Entry, Input, RuleOutcome
from armillary.twin.rule.words import compared
from armillary.wire.encoding.json_fields import kind_of

# Texts of devices are quoted up to this length.
_SHOWN: Final = 60


def explain(rule: Rule, entry: Entry) -> dict[str, Any]:
    """An entry as a JSON object: times, cause and outcome; why and each condition in words; what was compared.

    The words use machine names; ``summary`` of ``words.py`` turns ``compared`` into the names of a device template.
    """
    return {
        "at_ms": entry.at_ms,
        "now_ms": entry.now_ms,
        "cause": entry.cause.value,
        "outcome": entry.outcome.value,
        "why": why(rule, entry),
        "event": event(rule, entry),
        "conditions": [
            comparison(condition, each) for condition, each in zip(rule.conditions, entry.inputs, strict=False)
        ],
        "notes": list(entry.notes),
        "compared": compared(rule, entry),
        "hold_s": rule.hold_s,
    }


def why(rule: Rule, entry: Entry) -> str:
    """One sentence: what happened and why it had this outcome."""
    return f"{_CAUSES[entry.cause](rule, entry)}: {_OUTCOMES[entry.outcome](rule, entry)}."


def event(rule: Rule, entry: Entry) -> str:
    """One sentence: what happened, and the outcome unless the compared conditions explain it by themselves."""
    cause = _CAUSES[entry.cause](rule, entry)
    if entry.outcome in (RuleOutcome.NOT_MET, RuleOutcome.UNKNOWN):
        return f"{cause}."
    return f"{cause}: {_OUTCOMES[entry.outcome](rule, entry)}."


def comparison(condition: Condition, each: Input) -> str:
    """How a condition compared: ``avg of Flow is 41.5, > 40 (cloud property MaxFlow): met``."""
    if condition.silent_s:
        what = condition.telemetry or "any message"
        return f"nothing of {what} for {_number(each.left)} s, of {condition.silent_s} s: {_answer(each.met)}"
    name = condition.prop or condition.telemetry
    if condition.aggregate is not None:
        name = f"{condition.aggregate} of {name}"
    if each.left is None:
        return f"{name} has no value{_nothing_known(condition)}: unknown"
    right = _operand(condition.operand, each.right)
    said = f"{name} is {_shown(each.left)}, {condition.op} {right}: {_answer(each.met)}"
    if each.met is None and each.right is not None:
        said += f" ({_mismatch(each)})"
    return said


def _mismatch(each: Input) -> str:
    wanted = each.right[0] if isinstance(each.right, tuple) else each.right
    return f"a {kind_of(each.left)} cannot be compared so with a {kind_of(wanted)}"


def _nothing_known(condition: Condition) -> str:
    if condition.prop:
        return " on this device"
    return " in the window" if condition.aggregate is not None else " yet"


def _operand(operand: Operand, value: Value | tuple[Value, ...] | None) -> str:
    if not operand.cloud_property:
        return _shown(value)
    if value is None:
        return f"the cloud property {operand.cloud_property}, which this device does not have"
    return f"{_shown(value)} (cloud property {operand.cloud_property})"


def _shown(value: Value | tuple[Value, ...] | None) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown(each) for each in value[:8]) + (", ..." if len(value) > 8 else "") + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "...")
    return _number(value)


def _number(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, (int, float)) else "nothing"


def _answer(met: object) -> str:
    return "unknown" if met is None else "met" if met else "not met"


def _unknown(rule: Rule, entry: Entry) -> str:
    missing = [
        comparison(condition, each)
        for condition, each in zip(rule.conditions, entry.inputs, strict=True)
        if each.met is None
    ]
    return "did not fire, because " + "; ".join(missing[:3])


def _unmet(rule: Rule, entry: Entry) -> str:
    failed = [
        comparison(condition, each)
        for condition, each in zip(rule.conditions, entry.inputs, strict=True)
        if not each.met
    ]
    need = "all conditions have to be met" if rule.match_all and len(rule.conditions) > 1 else ""
    return "did not fire, because " + "; ".join([*failed[:3], *([need] if need else [])])


def _uncleared(rule: Rule, entry: Entry) -> str:
    ways = [
        f"{condition.prop or condition.telemetry} is no longer {condition.op} {_operand(condition.clear, each.clear)}"
        for condition, each in zip(rule.conditions, entry.inputs, strict=True)
        if condition.clear is not None
    ]
    return "not over yet, because the clear threshold is not reached: it is over when " + " or ".join(ways[:3])


def _ends(entry: Entry) -> str:
    return timestamp(entry.until_ms)


_CAUSES: Final[dict[Cause, Callable[[Rule, Entry], str]]] = {
    Cause.MESSAGE: lambda _, entry: (
        "a message" if entry.at_ms == entry.now_ms else f"a message measured at {timestamp(entry.at_ms)}"
    ),
    Cause.PROPERTY: lambda *_: "a changed property",
    Cause.CLOCK: lambda *_: "time went by",
    Cause.WINDOW: lambda rule, entry: (
        f"the window of {rule.window.length_s if rule.window else 0} s that ended at {timestamp(entry.at_ms)}"
    ),
}
_OUTCOMES: Final[dict[RuleOutcome, Callable[[Rule, Entry], str]]] = {
    RuleOutcome.FIRED: lambda rule, _: (
        "fired, because the conditions are met" + (f" since {rule.hold_s} s or more" if rule.hold_s else "")
    ),
    RuleOutcome.CLEARED: lambda *_: "over, because the conditions are no longer met",
    RuleOutcome.ACTIVE: lambda *_: "did not fire again, because it has fired and the conditions are still met",
    RuleOutcome.UNCLEARED: _uncleared,
    RuleOutcome.WAITING: lambda rule, entry: (
        f"did not fire yet, because the conditions have to stay met for {rule.hold_s} s, until {_ends(entry)}"
    ),
    RuleOutcome.COOLING: lambda _, entry: f"did not fire, because its cool-down lasts until {_ends(entry)}",
    RuleOutcome.QUIET: lambda _, entry: f"did not fire, because the rule is quiet until {_ends(entry)}",
    RuleOutcome.NOT_MET: _unmet,
    RuleOutcome.UNKNOWN: _unknown,
    RuleOutcome.GATHERED: lambda _, entry: f"gathered for the window that ends at {_ends(entry)}",
    RuleOutcome.IGNORED: lambda _, entry: (
        "not evaluated, because " + ("; ".join(entry.notes) or "nothing in it is new")
    ),
}

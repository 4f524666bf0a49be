# SPDX-License-Identifier: Apache-2.0
"""Rules and their firings in the names and units of a device template: "Temperature 30.5 °C was above 25 °C".

An evaluation stores what it compared under machine names (:func:`compared`, part of ``explain`` of ``trace.py``). The
sentence is made when somebody reads it, with the names that the device's template has then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from armillary.twin.rule.rule import Aggregate, Condition, Operand, Rule
from armillary.twin.rule.table import Entry, RuleOutcome
from armillary.twin.template.value_names import Naming, ValueName

# Characters of a device's text, and choices of a list, that an evaluation keeps for its words.
MAX_TEXT: Final = 60
MAX_CHOICES: Final = 8
# Conditions of one evaluation that a sentence says.
MAX_SAID: Final = 3

_ABOUT: Final[Mapping[str, str]] = {
    Aggregate.AVG: "average",
    Aggregate.MIN: "lowest",
    Aggregate.MAX: "highest",
    Aggregate.SUM: "sum",
    Aggregate.COUNT: "number of values",
}
_ORDER: Final[Mapping[str, str]] = {">": "above", ">=": "at least", "<": "below", "<=": "at most"}
# Sign -> (between value and operand where the condition is met, where it is not); "" says only the value.
_EQUAL: Final[Mapping[str, tuple[str, str]]] = {
    "==": ("", ", not {0}"),
    "!=": (", not {0}", ""),
    "in": (", one of {0}", ", none of {0}"),
    "not in": (", none of {0}", ", one of {0}"),
    "contains": (", which contains {0}", ", which does not contain {0}"),
}
# Ordering -> its sign, in lists.
_SIGNS: Final[Mapping[str, str]] = {">": ">", ">=": "≥", "<": "<", "<=": "≤"}
# Outcomes whose sentence says what was met; of the others it says what was not.
_MET: Final = frozenset({RuleOutcome.FIRED, RuleOutcome.ACTIVE, RuleOutcome.WAITING, RuleOutcome.COOLING})
# Outcomes before which the conditions were met for as long as the rule wants.
_HELD: Final = frozenset({RuleOutcome.FIRED, RuleOutcome.ACTIVE})


def compared(rule: Rule, entry: Entry) -> list[dict[str, Any]]:
    """What an evaluation compared, condition by condition, as JSON-able fields under machine names."""
    window_s = rule.window.length_s if rule.window else 0
    return [
        {
            "name": condition.prop or condition.telemetry,
            "aggregate": None if condition.aggregate is None else condition.aggregate.value,
            "window_s": window_s,
            "silent_s": condition.silent_s,
            "op": condition.op,
            "left": _kept(each.left),
            "right": _kept(each.right),
            "cloud_property": condition.operand.cloud_property,
            "met": each.met,
        }
        for condition, each in zip(rule.conditions, entry.inputs, strict=False)
    ]


def summary(trace: Mapping[str, Any], naming: Naming) -> str:
    """What an evaluation compared, in one line: what was met where it fired, else what was not.

    "" where nothing was compared, or an older release stored the evaluation.
    """
    every: Sequence[Mapping[str, Any]] = trace.get("compared") or ()
    is_met = trace.get("outcome") in _MET
    shown = [each for each in every if bool(each["met"]) is is_met] or every
    said = " and ".join(_comparison(each, naming) for each in shown[:MAX_SAID])
    has_held = trace.get("hold_s") and trace.get("outcome") in _HELD
    held = f", for {span(trace['hold_s'])} or more" if said and has_held else ""
    return said + held


def reason(trace: Mapping[str, Any], naming: Naming) -> str:
    """As :func:`summary`, for lists: "Temperature 30.5 °C > 25 °C for 20 s"."""
    every: Sequence[Mapping[str, Any]] = trace.get("compared") or ()
    shown = [each for each in every if each["met"]] or every
    said = " and ".join(_comparison(each, naming, signs=_SIGNS) for each in shown[:MAX_SAID])
    return f"{said} for {span(trace['hold_s'])}" if said and trace.get("hold_s") else said


def condition_words(condition: Condition, naming: Naming, window_s: int = 0) -> str:
    """A condition for lists of rules: "Temperature above 25 °C", "no Flow for 10 min"."""
    if condition.silent_s:
        what = naming.of(condition.telemetry).display_name if condition.telemetry else "message"
        return f"no {what} for {span(condition.silent_s)}"
    name = naming.of(condition.prop or condition.telemetry)
    shown, unit = _shown_as(name, condition.aggregate, window_s)
    clear = ""
    if condition.clear is not None:
        clear = f" (clears at {_operand(condition.clear, unit, naming)})"
    operand = _operand(condition.operand, unit, naming)
    if condition.op in _ORDER:
        return f"{shown} {_ORDER[condition.op]} {operand}{clear}"
    word = {"==": "is", "!=": "is not", "in": "is one of", "not in": "is none of"}.get(condition.op, condition.op)
    return f"{shown} {word} {operand}{clear}"


def unreachable(rule: Rule, *, has_mail_server: bool, is_heard: bool) -> list[str]:
    """Why the rule can reach nobody, or not everybody that it names, as sentences; empty where it can.

    ``is_heard``: a notification channel chose alerts as it makes them.
    """
    if not rule.actions and not is_heard:
        return ["The rule has no actions: it creates an alert, and nobody is told"]
    if not has_mail_server and any(each.kind == "email" for each in rule.actions):
        return ["No mail server is set up (smtp_host, smtp_from): the rule's e-mails wait, and are given up in the end"]
    return []


def span(seconds: float) -> str:
    """A length of time: ``45 s``, ``12 min``, ``3 h``, ``2 d``."""
    whole = int(seconds)
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if whole >= size and whole % size == 0:
            return f"{whole // size} {unit}"
    return f"{whole} s" if whole < 120 else f"{whole // 60} min"


def _comparison(each: Mapping[str, Any], naming: Naming, signs: Mapping[str, str] | None = None) -> str:
    """One condition in the past tense; with ``signs`` in their short form."""
    name = naming.of(each["name"])
    if each["silent_s"]:
        return _silence(each, name)
    shown, unit = _shown_as(name, each["aggregate"], each["window_s"])
    if each["left"] is None:
        return f"{shown} has no value"
    left, right = _text(each["left"], unit), _text(each["right"], unit)
    if each["cloud_property"]:
        right += f" ({naming.of('cloud.' + each['cloud_property']).display_name.removeprefix('cloud.')})"
    if each["right"] is None:
        return f"{shown} {left} has nothing to compare with"
    if each["op"] in _ORDER:
        if signs is not None and each["met"]:
            return f"{shown} {left} {signs[each['op']]} {right}"
        return f"{shown} {left} was {'' if each['met'] else 'not '}{_ORDER[each['op']]} {right}"
    met, unmet = _EQUAL[each["op"]]
    return f"{shown}{' was' if signs is None else ':'} {left}{(met if each['met'] else unmet).format(right)}"


def _silence(each: Mapping[str, Any], name: ValueName) -> str:
    if each["met"]:
        return f"No {name.display_name if each['name'] else 'message'} for {span(each['silent_s'])}"
    return f"{name.display_name if each['name'] else 'A message'} came {span(each['left'] or 0)} before"


def _shown_as(name: ValueName, aggregate: str | None, window_s: int) -> tuple[str, ValueName]:
    """The subject of a sentence, and the name whose unit and enum words its values are written with."""
    if aggregate is None:
        return name.display_name, name
    about = _ABOUT.get(aggregate, aggregate)
    over = f" of {span(window_s)}" if window_s else ""
    counted = ValueName(name.name, name.display_name) if aggregate == Aggregate.COUNT else name
    return f"{name.display_name} ({about}{over})", counted


def _operand(operand: Operand, unit: ValueName, naming: Naming) -> str:
    if operand.cloud_property:
        return naming.of(f"cloud.{operand.cloud_property}").display_name.removeprefix("cloud.")
    return _text(_kept(operand.value), unit)


def _text(value: Any, unit: ValueName) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(unit.text(each) for each in value)
    return unit.text(value)


def _kept(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_kept(each) for each in value[:MAX_CHOICES]]
    return f"{value[:MAX_TEXT]}…" if isinstance(value, str) and len(value) > MAX_TEXT else value

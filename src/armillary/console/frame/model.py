# SPDX-License-Identifier: Apache-2.0
"""Models in DTDL as they are written: the text with its lines, and what is wrong with it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from armillary.console.frame.words import counted, grouped, joined, sentence
from armillary.console.language.say import apart, say

# Lines of an editor that has little in it, and those after which it scrolls by itself rather than growing.
FEWEST_LINES: Final = 12
MOST_LINES: Final = 20_000
# What a new template begins with.
EXAMPLE: Final[Mapping[str, Any]] = {
    "@context": ["dtmi:dtdl:context;2", "dtmi:iotcentral:context;2"],
    "@id": "dtmi:com:example:Thermostat;1",
    "@type": "Interface",
    "displayName": "Thermostat",
    "contents": [
        {"@type": ["Telemetry", "Temperature"], "name": "temperature", "schema": "double", "unit": "degreeCelsius"},
        {"@type": "Property", "name": "interval_s", "schema": "integer", "writable": True},
    ],
}


@dataclass(frozen=True, slots=True)
class FaultLine:
    """One rule that is broken: where, what, and what to do; ``line`` is 0 where it is not known."""

    line: int
    element: str
    rule: str
    says: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found: a state, a sentence, and the faults."""

    kind: str
    sentence: str
    faults: tuple[FaultLine, ...] = ()
    more: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEditor:
    """The text of models in a form.

    Attributes:
        report_href: Where it is checked while somebody types.
        check_href: Where the button sends the form to be checked without script.
        report: What the last check found; None: none was made.
    """

    text: str
    report_href: str
    check_href: str
    report: Report | None = None

    @property
    def lines(self) -> int:
        """Lines that the editor shows."""
        return min(max(self.text.count("\n") + 1, FEWEST_LINES), MOST_LINES)

    @property
    def numbers(self) -> str:
        """The numbers beside them."""
        return "\n".join(str(number) for number in range(1, self.lines + 1))


def report_of(answer: Mapping[str, Any]) -> Report:
    """What the API's check says, for people."""
    if answer["ok"]:
        kinds = [each["kind"] for each in answer["capabilities"]]
        parts = [
            counted(kinds.count(kind), one, many)
            for kind, one, many in (
                ("telemetry", say("telemetry value"), say("telemetry values")),
                ("property", say("property"), say("properties")),
                ("command", say("command"), say("commands")),
            )
            if kind in kinds
        ]
        has = joined(parts) or say("no capability")
        warnings = tuple(FaultLine(0, each["name"], "", each["reason"], "") for each in answer["warnings"])
        said = say(
            "No rule is broken: {name} ({model}) has {capabilities}.",
            name=answer["display_name"],
            model=answer["root"],
            capabilities=has,
        )
        if warnings:
            return Report("attention", apart([said, sentence(counted(len(warnings), "warning"))], " "), warnings)
        return Report("good", said)
    faults = tuple(
        FaultLine(
            each["line"],
            each["path"] or (say("the document") if each["line"] else ""),
            f"DTDL v{each['version']}, {each['rule']}" if each["version"] else each["rule"],
            say("expected {expected}, got {got}", expected=each["expected"], got=each["got"])
            if each["expected"]
            else f"{each['reason']}.",
            each["remedy"],
        )
        for each in answer["faults"]
    )
    left = answer["count"] - len(faults)
    broken = say("{rules} broken.", rules=counted(answer["count"], "rule is", "rules are"))
    said = broken if faults and faults[0].rule else say("Not clear yet.")
    return Report("bad", said, faults, say("And {count} more.", count=grouped(left)) if left else "")


def models_text(models: Sequence[Any]) -> str:
    """Models as they are edited: one by itself, several in a list."""
    return json.dumps(models[0] if len(models) == 1 else list(models), ensure_ascii=False, indent=2)

# SPDX-License-Identifier: Apache-2.0
"""The audit page: who did what? Pure: API answers in, a view model out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Final

from armillary.console.frame.form import Field, limits
from armillary.console.frame.states import BAD, GOOD
from armillary.console.frame.times import RANGES, range_fields, ranged
from armillary.console.frame.words import Called, Moment, ShortId, called, counted, grouped, joined, moment, short_id
from armillary.console.language.say import say
from armillary.wire.hub.credentials import is_attested_id


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One operation."""

    number: str
    at: Moment | None
    actor: str
    operation: str
    target: ShortId
    device: Called | None
    detail: str
    hash: ShortId
    previous: ShortId


# Columns of the list, and what each is sorted by.
COLUMNS: Mapping[str, Callable[[AuditRow], object] | None] = MappingProxyType(
    {
        say("Line"): lambda row: row.number,
        say("When"): lambda row: row.at,
        say("Who"): lambda row: row.actor,
        say("Operation"): lambda row: row.operation,
        say("Target"): lambda row: row.device.name if row.device else row.target.full,
        say("Detail"): None,
        say("Hash"): None,
    }
)


# What the exported log has besides.
EXPORTED: Mapping[str, Callable[[AuditRow], object]] = MappingProxyType(
    {
        "Target": lambda row: row.target.full,
        "Detail": lambda row: row.detail,
        "Hash": lambda row: row.hash.full,
        "Hash before": lambda row: row.previous.full,
    }
)
# Column -> what the source sorts all pages by: the number of a line, with which its time rises.
BY_SOURCE: Mapping[str, str] = MappingProxyType({"Line": "number", "When": "number"})
# Families of operations that are offered to filter by; any other can be typed.
FAMILIES: Final = (
    "action", "alert", "application", "catalog", "claim", "dashboard", "deployment", "device", "device-group",
    "enrolment", "export", "finding", "group", "hub-device", "image", "job", "notification-channel", "person",
    "product", "release", "rollout", "rule", "session", "table-view", "template", "token", "transfer",
)  # fmt: skip
MAX_CHARACTERS: Final = 320


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """The filters of an address; "" filters nothing."""

    who: str = ""  # the actor's whole name
    what: str = ""  # an operation, or a family of them
    target: str = ""
    range: str = ""  # of ``times.RANGES``
    start: str = ""  # as typed, UTC
    end: str = ""

    def given(self) -> dict[str, str]:
        """The filters that filter."""
        return {each.name: getattr(self, each.name) for each in fields(self) if getattr(self, each.name)}

    def asked(self, now: int) -> dict[str, Any]:
        """The filters as the source takes them. Raises InvalidArgumentError: a time that was typed is none."""
        since, until = ranged(self.range, self.start, self.end, now)
        return {
            "actor": self.who or None,
            "operation": self.what or None,
            "target": self.target or None,
            "since": since,
            "until": until,
        }


def query_of(given: Mapping[str, str]) -> AuditQuery:
    """The filters of a query string."""
    found = {each.name: given.get(each.name, "").strip()[:MAX_CHARACTERS] for each in fields(AuditQuery)}
    found["range"] = found["range"] if found["range"] in RANGES else ""
    return AuditQuery(**found)


def filter_fields(query: AuditQuery) -> tuple[Field, ...]:
    """The fields that filter the log."""
    return (
        Field(
            name="who",
            label=say("Who"),
            value=query.who,
            limits=limits(maxlength=MAX_CHARACTERS, placeholder=say("name")),
        ),
        Field(
            name="what",
            label=say("Operation"),
            value=query.what,
            limits=limits(maxlength=64, placeholder="device, device.revoke", list="operations"),
        ),
        Field(
            name="target",
            label=say("Target"),
            value=query.target,
            limits=limits(maxlength=256, placeholder=say("whole id or name")),
        ),
        *range_fields(say("When"), query.range, query.start, query.end),
    )


@dataclass(frozen=True, slots=True)
class Proof:
    """What walking the chain found."""

    kind: str
    sentence: str
    head: ShortId | None


def named_devices(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """The devices that lines of the log are about, each once."""
    return sorted({line["target"] for line in lines if _is_device(line)})


def audit_row(line: Mapping[str, Any], names: Mapping[str, str], now: int) -> AuditRow:
    """One line of the log."""
    detail = line["detail"]
    return AuditRow(
        grouped(line["number"]),
        moment(line["at"], now),
        line["actor"],
        line["operation"],
        short_id(line["target"]),
        called(line["target"], names.get(line["target"], "")) if _is_device(line) else None,
        ", ".join(f"{name} {_plain(value)}" for name, value in _flat(detail)),
        short_id(line["hash"]),
        short_id(line["previous_hash"]),
    )


def log_sentence(items: Sequence[Mapping[str, Any]], query: AuditQuery, *, is_first: bool) -> str:
    """The first line: how many operations there are, or what is shown of them."""
    if query.given():
        return say("Operations that match.") if items else say("No operation matches.")
    if not items:
        return say("Nothing was done yet.")
    return (
        say("{number} operations are recorded.", number=grouped(items[0]["number"]))
        if is_first
        else say("Recorded operations.")
    )


def proof(result: Mapping[str, Any]) -> Proof:
    """Say what the verification found; a broken chain names its first wrong line."""
    if result["broken_at"] is not None:
        return Proof(
            BAD,
            say(
                "The chain is broken at line {broken_at}: that line, or one before it, was changed after it was "
                "written. Compare with a backup.",
                broken_at=grouped(result["broken_at"]),
            ),
            None,
        )
    if result["forked_at"] is not None:
        return Proof(
            BAD,
            say(
                "The lines fit one another, but not the checkpoint of {lines} that was signed: the log was "
                "rewritten or cut off, or an older backup was restored. Keep both as evidence.",
                lines=counted(result["forked_at"], "line"),
            ),
            None,
        )
    if result["releases_forked_at"] is not None:
        return Proof(
            BAD,
            say(
                "The release log does not fit the checkpoint of {releases_forked_at} that was signed: it was "
                "rewritten or cut off, or an older backup was restored. Keep both as evidence.",
                releases_forked_at=grouped(result["releases_forked_at"]),
            ),
            None,
        )
    return Proof(
        GOOD,
        say(
            "All {lines} fit, and every checkpoint that was signed: none was changed, removed or put in "
            "between. Keep checkpoints elsewhere, or have a witness cosign them, to detect that all was "
            "forged.",
            lines=counted(result["lines"], "line"),
        ),
        short_id(result["head"]),
    )


def _is_device(line: Mapping[str, Any]) -> bool:
    target, about = line["target"], line["operation"].partition(".")[0]
    return "/" not in target and (is_attested_id(target) or about in ("device", "hub-device"))


def _flat(detail: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Name and value pairs; of a nested object, its own pairs. Empty values say nothing and are left out."""
    pairs: list[tuple[str, object]] = []
    for name, value in detail.items():
        if isinstance(value, dict):
            pairs += _flat(value)
        elif value not in ("", None, [], ()):
            pairs.append((name.replace("_", " "), value))
    return pairs


def _plain(value: object) -> str:
    if isinstance(value, str):
        return short_id(value).short
    if isinstance(value, (list, tuple)):
        return joined([_plain(item) for item in value])
    return json.dumps(value, ensure_ascii=False)

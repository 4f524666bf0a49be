# SPDX-License-Identifier: Apache-2.0
"""The audit page: who did what? Pure: API answers in, a view model out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from armillary.console.frame.states import BAD, GOOD
from armillary.console.frame.words import Called, Moment, ShortId, called, counted, grouped, joined, moment, short_id
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
        "Line": lambda row: row.number,
        "When": lambda row: row.at,
        "Who": lambda row: row.actor,
        "Operation": lambda row: row.operation,
        "Target": lambda row: row.device.name if row.device else row.target.full,
        "Detail": None,
        "Hash": None,
    }
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


def proof(result: Mapping[str, Any]) -> Proof:
    """Say what the verification found; a broken chain names its first wrong line."""
    if result["broken_at"] is not None:
        return Proof(
            BAD,
            f"The chain is broken at line {grouped(result['broken_at'])}: that line, or one before it, was changed "
            f"after it was written. Compare with a backup.",
            None,
        )
    if result["forked_at"] is not None:
        return Proof(
            BAD,
            f"The lines fit one another, but not the checkpoint of {counted(result['forked_at'], 'line')} that was "
            f"signed: the log was rewritten or cut off, or an older backup was restored. Keep both as evidence.",
            None,
        )
    if result["releases_forked_at"] is not None:
        return Proof(
            BAD,
            f"The release log does not fit the checkpoint of {grouped(result['releases_forked_at'])} that was signed: "
            f"it was rewritten or cut off, or an older backup was restored. Keep both as evidence.",
            None,
        )
    return Proof(
        GOOD,
        f"All {counted(result['lines'], 'line')} fit, and every checkpoint that was signed: none was changed, removed "
        f"or put in between. Keep checkpoints elsewhere, or have a witness cosign them, to detect that all was forged.",
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

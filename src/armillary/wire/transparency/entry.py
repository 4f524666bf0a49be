# SPDX-License-Identifier: Apache-2.0
"""Entries of the audit log and of the release log: the bytes that are the leaves of their trees.

::

    leaf = JSON [number, at, actor, operation, target, detail], ASCII, no spaces

``number`` counts from 1, so that the leaf's index is one less; ``at`` is Unix seconds UTC; ``detail`` is a JSON object
as text, with sorted keys and no spaces. The chain of the audit log hashes the same bytes. Entries of the release log
name no actor, so that the log can be shown to anybody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from armillary.errors import WireError

AUDIT: Final = "audit"
RELEASES: Final = "releases"
LOGS: Final = (AUDIT, RELEASES)

_FORMAT: Final = "log-entry"
# Of the parts of a leaf, in their order.
_TYPES: Final = (int, int, str, str, str, str)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """What an entry says."""

    number: int
    at: int
    actor: str
    operation: str
    target: str
    detail: Mapping[str, Any]


def leaf_of(number: int, at: int, actor: str, operation: str, target: str, detail: str) -> bytes:
    """The leaf of an entry; ``detail`` is its JSON text."""
    return json.dumps([number, at, actor, operation, target, detail], separators=(",", ":")).encode()


def detail_text(detail: Mapping[str, Any]) -> str:
    """A detail as it is kept and hashed; what JSON does not know becomes text."""
    return json.dumps(dict(detail), sort_keys=True, separators=(",", ":"), default=str)


def parse_leaf(leaf: bytes) -> LogEntry:
    """The entry of a leaf.

    Raises:
        WireError: it is none, or has another spelling than the one here.
    """
    try:
        parts = json.loads(leaf)
        is_right = isinstance(parts, list) and tuple(map(type, parts)) == _TYPES and leaf_of(*parts) == leaf
        detail = json.loads(parts[5]) if is_right else None
    except (ValueError, RecursionError) as error:
        raise WireError(_FORMAT, expected="an entry in JSON", got=f"{leaf[:60]!r}") from error
    if not is_right or not isinstance(detail, dict) or parts[0] < 1:
        raise WireError(_FORMAT, expected="[number, at, actor, operation, target, detail]", got=f"{leaf[:60]!r}")
    number, at, actor, operation, target, _ = parts
    return LogEntry(number=number, at=at, actor=actor, operation=operation, target=target, detail=detail)

# SPDX-License-Identifier: Apache-2.0
"""Rows of reports of vulnerabilities; times are Unix seconds UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """A report. ``catalog_id`` is whose it was given to, None for nobody's but the service's."""

    number: int
    reference: str
    received_at: int
    state: str
    catalog_id: UUID | None
    product_id: UUID | None
    acknowledged_at: int | None
    told_at: int | None
    closed_at: int | None
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportEntryRow:
    """What was done about a report; ``state`` is the one after it, ``sealed`` the note, empty for none."""

    number: int
    at: int
    actor: str
    action: str
    state: str
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRow:
    """How strangers are asked to report, as JSON text."""

    document: str
    changed_at: int
    changed_by: str

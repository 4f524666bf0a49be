# SPDX-License-Identifier: Apache-2.0
"""VEX statements that operators make here, as they come out of the records; times are Unix seconds UTC."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnStatementRow:
    """A statement as it is kept: what it says is in ``signed``, and is believed only once that is verified."""

    number: int
    statement_id: UUID
    catalog_id: UUID | None  # None: of the whole service
    vulnerability: str
    stated_at: int
    signed: bytes
    made_by: str
    taken_back_at: int | None
    taken_back_by: str | None
    taken_back_reason: str | None

# SPDX-License-Identifier: Apache-2.0
"""Rows of cases and dossiers; times are Unix seconds UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRow:
    """A case without its entries. ``catalog_id`` is None for one of the whole service."""

    number: int
    case_id: UUID
    catalog_id: UUID | None
    product_id: UUID | None
    kind: str
    title: str
    closed_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DossierRow:
    """A dossier that was made. ``catalog_id`` is None for one of the whole service, ``product`` empty for all."""

    number: int
    dossier_id: UUID
    catalog_id: UUID | None
    product: str
    made_at: int
    made_by: str
    sha256: bytes
    size: int
    states: Mapping[str, int]

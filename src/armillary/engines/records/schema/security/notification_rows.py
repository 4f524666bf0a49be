# SPDX-License-Identifier: Apache-2.0
"""The values of notification channels and deliveries; times are Unix seconds UTC unless a name ends in ``_ms``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from armillary.wire.notification.choice import Choice
from armillary.wire.notification.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """Where events of a catalog, or of the whole service, go to. What is hidden of it is not in here."""

    number: int
    channel_id: UUID
    catalog_id: UUID | None  # whose events; None: everything
    name: str
    kind: str
    options: Mapping[str, Any]  # what everybody who sees it may see
    topics: tuple[str, ...]  # empty for findings and actions
    finding_kinds: tuple[str, ...]  # empty for all
    min_severity: str
    created_at: int
    created_by: str
    status: ChannelStatus

    @property
    def choice(self) -> Choice:
        """What it is told."""
        return Choice(topics=self.topics, finding_kinds=self.finding_kinds, min_severity=self.min_severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatus:
    """How a channel is doing, since it was made."""

    waiting: int = 0
    delivered: int = 0
    given_up: int = 0
    dropped: int = 0
    failures: int = 0
    due_ms: int = 0
    delivered_at: int | None = None
    failed_at: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event that a channel has still to be told, or was not told."""

    number: int
    channel_number: int
    catalog_id: UUID | None  # of the event
    sequence: int
    state: str  # waiting | given-up
    attempts: int
    kept_at: int
    error: str
    event: Event = field(repr=False)

# SPDX-License-Identifier: Apache-2.0
"""Operations on firings of rules: acknowledge alerts, one or many; replay dead letters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from armillary.engines.database.on_demand import OnDemand
from armillary.engines.database.outbox import AuditEntry
from armillary.engines.rules import rows
from armillary.engines.rules.alerts import (
    MAX_ACKNOWLEDGED,
    MAX_NOTE_CHARACTERS,
    AlertFilter,
    acknowledged,
    all_acknowledged,
)
from armillary.engines.rules.store import RuleStore
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.identity.operator import Operator
from armillary.platform.rules.actions import RuleActions
from armillary.platform.rules.alert_search import AlertSearch, delivery, found_alert, page_of


@dataclass(eq=False)
class AlertOperations:
    """Operations on alerts and deliveries. Methods block for the disk: call them from threads."""

    _store: OnDemand[RuleStore]
    _search: AlertSearch
    _actions: RuleActions
    _clock: Callable[[], float]  # Unix time, seconds

    def acknowledge(self, actor: Operator, number: int, catalog: str | None, note: str = "") -> dict[str, Any]:
        """Note that somebody has taken notice of a firing, with what they say.

        Raises:
            NotFoundError: there is none of this number in the catalog.
            InvalidArgumentError: the note is too long.
        """
        store = self._store.get()
        device_id = found_alert(store.alerts.one(catalog, number), number).device_id
        said = _note(note)
        change = acknowledged(catalog, number, actor.name, self._now_ms(), said)
        more = {"note": said} if said else {}
        entry = AuditEntry(actor.name, "alert.acknowledge", device_id, lambda made: made and {"alert": number, **more})
        return self._search.of(found_alert(store.outbox.commit(change, entry), number))

    def acknowledge_many(
        self, actor: Operator, wanted: AlertFilter, *, numbers: Sequence[int] | None, count: int | None, note: str
    ) -> int:
        """Acknowledge the open alerts of a filter, or those of some ``numbers`` among them; how many there were.

        ``count`` is how many somebody was shown: where there are others now, nothing is changed.

        Raises:
            ConflictError: there are other than ``count``.
            InvalidArgumentError: there are more than MAX_ACKNOWLEDGED, or the note is too long.
        """
        said = _note(note)
        change = all_acknowledged(wanted, numbers, count, actor.name, self._now_ms(), said)
        shown = {"note": said} if said else {}
        entry = AuditEntry(
            actor.name,
            "alert.acknowledge-many",
            wanted.catalog or "",
            lambda made: {"alerts": made[0], **shown} if made[1] and made[0] else None,
        )
        found, is_done = self._store.get().outbox.commit(change, entry)
        if is_done:
            return int(found)
        if found > MAX_ACKNOWLEDGED:
            raise InvalidArgumentError(
                f"expected at most {MAX_ACKNOWLEDGED:,} open alerts, got {found:,}",
                remedy="Filter further: by time, rule or severity. Nothing was acknowledged.",
            )
        raise ConflictError(
            f"{found:,} open alerts match now, not {count:,}",
            remedy="Look again and repeat it. Nothing was acknowledged.",
        )

    def dead_letters(self, catalog: str | None, before: int | None, limit: int) -> dict[str, Any]:
        """Deliveries that were given up, newest first, each with why."""
        found = self._store.get().deliveries.dead(catalog, before=before, limit=limit + 1)
        return page_of([delivery(each) for each in found], limit)

    def replay(self, actor: Operator, numbers: Sequence[int], catalog: str | None) -> int:
        """Try dead letters again; how many there were of these numbers."""
        entry = AuditEntry(actor.name, "rule-action.replay", catalog or "", lambda count: {"replayed": count})
        count: int = self._store.get().outbox.commit(rows.replayed(catalog, numbers, self._now_ms()), entry)
        self._actions.wake_soon()
        return count

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _note(text: str) -> str:
    """What somebody says of alerts, on one line. Raises InvalidArgumentError for more than MAX_NOTE_CHARACTERS."""
    said = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    if len(said) > MAX_NOTE_CHARACTERS:
        raise InvalidArgumentError(
            f"note: expected at most {MAX_NOTE_CHARACTERS} characters, got {len(said)}", remedy="Shorten it."
        )
    return said

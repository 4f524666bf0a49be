# SPDX-License-Identifier: Apache-2.0
"""Empties the outbox: a thread that looks what is due, and one more for each attempt.

::

    waiting --attempt--> gone (told)
       ^         |-- not now --> waiting, later each time       (the whole channel waits, so that order is kept)
       |         '-- never, or MAX_ATTEMPTS --> given up        (shown; an operator has them sent again)
       '--------------------------retry--------------'

What is told leaves the outbox only after the target has taken it, so it is told at least once whatever happens to this
process, with the same id. One attempt of a channel is under way at a time. A target that hangs holds its own channel
only: attempts are bounded in time, few are of one catalog, and channels that fail take at most half of the places.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection

from armillary.engines.outbound.attempts import NeverError, NotNowError, backoff
from armillary.engines.records.notifications import deliveries as delivery_rows
from armillary.engines.records.notifications.deliveries import Room
from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.engines.records.schema.security.notification_rows import Channel, Delivery
from armillary.engines.records.store import Records
from armillary.errors import ArmillaryError
from armillary.service.notifications.targets import BATCH, Targets, Told

# Attempts at once: in all, of the channels of one owner, and of channels whose last attempt failed.
MAX_AT_ONCE: Final = 8
MAX_OF_OWNER: Final = 3
MAX_FAILING: Final = 4
# Attempts for one event before it is given up: over an hour and a half (``engines/outbound/attempts.py``).
MAX_ATTEMPTS: Final = 12
# The longest sleep between two looks; the service's watch wakes the sender after each of its runs (seconds).
LOOK_S: Final = 5.0
# When the records cannot be read or written, it is tried again after this time (seconds).
TROUBLE_S: Final = 2.0
# At its end the sender waits so long for attempts under way; what they tell is told again (seconds).
END_S: Final = 2.0

_log = structlog.get_logger("armillary.service.notifications")


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of an attempt."""

    error: str = ""  # "" where the channel was told
    counts: bool = True  # against the attempts of each event
    is_final: bool = False  # the events are given up
    wait_s: float = 0.0  # before the next attempt, at least


class Sender:
    """Tells channels what waits for them; ``hidden_of`` opens what is sealed of a channel. Thread-safe."""

    def __init__(
        self,
        records: Records,
        targets: Targets,
        hidden_of: Callable[[Channel], Mapping[str, str]],
        clock: Callable[[], float],  # Unix time, seconds
    ) -> None:
        self._records = records
        self._targets = targets
        self._hidden_of = hidden_of
        self._clock = clock
        self._woken = threading.Event()
        self._ended = threading.Event()
        self._changing = threading.Lock()
        self._under_way: dict[int, tuple[Channel, threading.Thread]] = {}  # by the channel's number
        self._thread = threading.Thread(target=self._run, name="notifications", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Something may be due."""
        self._woken.set()

    def close(self) -> None:
        """End; attempts under way are waited for shortly, and made again after the next start."""
        self._ended.set()
        self._woken.set()
        until = time.monotonic() + END_S
        self._thread.join(END_S)
        with self._changing:
            threads = [thread for _, thread in self._under_way.values()]
        for each in threads:
            each.join(max(0.0, until - time.monotonic()))

    # -- what is due ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                wait_s = self._look()
            except ArmillaryError as error:  # the disk: the outbox stays as it is
                _log.error("notifications.outbox-not-readable", why=error.message)
                wait_s = TROUBLE_S
            except Exception:  # noqa: BLE001 - the outermost loop of this thread: noted, and tried again
                if not self._ended.is_set():
                    _log.exception("notifications.fault")
                wait_s = TROUBLE_S
            self._woken.wait(wait_s)
            self._woken.clear()

    def _look(self) -> float:
        """Begin attempts that are due; for how long there is nothing to do (seconds)."""
        while True:
            with self._changing:
                busy = [channel for channel, _ in self._under_way.values()]
            if len(busy) >= MAX_AT_ONCE:
                return LOOK_S  # the end of an attempt wakes this thread
            room = room_beside(busy)
            due = self._records.read(partial(_due, room, self._now_ms()))
            chosen = chosen_of(due, busy)
            for each in chosen:
                self._begin(each)
            if not chosen:
                break
        next_ms = self._records.read(lambda c: delivery_rows.next_due_ms(c, room))
        if next_ms is None:
            return LOOK_S
        return min(LOOK_S, max(0.05, (next_ms - self._now_ms()) / 1000))

    def _begin(self, channel: Channel) -> None:
        thread = threading.Thread(
            target=self._attempt, args=(channel,), name=f"notify-{channel.name[:16]}", daemon=True
        )
        with self._changing:  # its end waits until it is there
            thread.start()
            self._under_way[channel.number] = (channel, thread)

    # -- one attempt ----------------------------------------------------------------------------------------------

    def _attempt(self, channel: Channel) -> None:
        try:
            self._try(channel)
        except Exception:  # noqa: BLE001 - the outermost loop of an attempt: noted, and tried again
            if not self._ended.is_set():
                _log.exception("notifications.attempt-fault", channel=str(channel.channel_id))
                self._ended.wait(TROUBLE_S)
        finally:
            with self._changing:
                del self._under_way[channel.number]
            self._woken.set()

    def _try(self, channel: Channel) -> None:
        """Tell a channel of what it has waited for longest, and note what came of it."""
        # A channel that fails is tried with one event: what is wrong with a single one must not hold back the others.
        limit = 1 if channel.status.failures else BATCH[channel.kind]
        waiting, told = self._records.read(lambda c: _told(c, channel, limit))
        if not waiting:
            return
        outcome = self._tell(channel, told)
        level = _log.debug if not outcome.error else _log.warning
        level(
            "notifications.attempt",
            channel=str(channel.channel_id),
            kind=channel.kind,
            events=len(waiting),
            why=outcome.error,
        )
        self._note(channel, waiting, outcome)

    def _tell(self, channel: Channel, told: Sequence[Told]) -> _Outcome:
        try:
            self._targets.tell(channel, self._hidden_of(channel), told)
        except NotNowError as refusal:
            return _Outcome(str(refusal), wait_s=max(refusal.wait_s, backoff(channel.status.failures)))
        except NeverError as refusal:
            if len(told) > 1:  # one of them may be at fault: they are tried one by one
                return _Outcome(str(refusal), counts=False)
            return _Outcome(str(refusal), is_final=True)
        except ArmillaryError as error:  # what is sealed does not open, the disk
            return _Outcome(error.message, wait_s=backoff(channel.status.failures))
        except Exception as fault:  # noqa: BLE001 - a fault of this program must not stop a channel unseen
            _log.exception("notifications.attempt-fault", channel=str(channel.channel_id))
            return _Outcome(
                f"a fault of this program ({type(fault).__name__})", wait_s=backoff(channel.status.failures)
            )
        return _Outcome()

    def _note(self, channel: Channel, waiting: Sequence[Delivery], outcome: _Outcome) -> None:
        """Write the outcome down; a disk that takes nothing has it tried again until this process ends."""
        now_ms = self._now_ms()
        change: Callable[[Connection], object]
        if not outcome.error:
            change = partial(delivery_rows.told, channel_number=channel.number, deliveries=waiting, now_ms=now_ms)
        else:
            change = partial(
                delivery_rows.failed,
                channel_number=channel.number,
                deliveries=waiting,
                give_up_after=1 if outcome.is_final else MAX_ATTEMPTS,
                counts=outcome.counts,
                due_ms=now_ms + int(outcome.wait_s * 1000),
                now_ms=now_ms,
                error=outcome.error[:500],
            )
        while not self._ended.is_set():
            try:
                self._records.write(change)
            except ArmillaryError as trouble:
                _log.error("notifications.outcome-not-noted", why=trouble.message)
                self._ended.wait(TROUBLE_S)
            else:
                return

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def room_beside(busy: Sequence[Channel]) -> Room:
    """Which channels may be told while those of ``busy`` are.

    An owner has :data:`MAX_OF_OWNER` places, and channels that fail have :data:`MAX_FAILING` together.
    """
    owners = Counter(each.catalog_id for each in busy)
    return Room(
        without=[each.number for each in busy],
        full_owners=[owner for owner, count in owners.items() if count >= MAX_OF_OWNER],
        only_healthy=sum(each.status.failures > 0 for each in busy) >= MAX_FAILING,
    )


def chosen_of(due: Sequence[Channel], busy: Sequence[Channel]) -> list[Channel]:
    """The channels among ``due``, in their order, that have a place beside ``busy`` and beside one another."""
    chosen: list[Channel] = []
    for each in due:
        taken = [*busy, *chosen]
        room = room_beside(taken)
        if len(taken) >= MAX_AT_ONCE:
            break
        if each.catalog_id not in room.full_owners and not (each.status.failures and room.only_healthy):
            chosen.append(each)
    return chosen


def _due(room: Room, now_ms: int, connection: Connection) -> tuple[Channel, ...]:
    return delivery_rows.due(connection, room, now_ms=now_ms, limit=MAX_AT_ONCE)


def _told(connection: Connection, channel: Channel, limit: int) -> tuple[Sequence[Delivery], list[Told]]:
    waiting = delivery_rows.oldest(connection, channel.number, limit)
    catalogs = {}
    for catalog_id in {each.catalog_id for each in waiting if each.catalog_id is not None}:
        found = catalog_rows.catalog_by_id(connection, catalog_id)
        catalogs[catalog_id] = (catalog_id, "deleted" if found is None else found.name)
    return waiting, [
        Told(each.event, each.sequence, each.attempts + 1, catalogs.get(each.catalog_id) if each.catalog_id else None)
        for each in waiting
    ]

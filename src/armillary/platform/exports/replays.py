# SPDX-License-Identifier: Apache-2.0
"""Dead letters of data exports, delivered again in a thread of each replay's own.

A destination that answers late, or never, holds up no operator's call and no other export by that. Whoever asks waits
a moment for the outcome, and is told that it is under way after that.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Final

import structlog

from armillary.engines.database.on_demand import OnDemand
from armillary.engines.database.outbox import AuditEntry
from armillary.engines.documents.store import DocumentStore
from armillary.engines.exports.store import DeadLetter, ExportStore
from armillary.engines.outbound.attempts import NeverError, NotNowError
from armillary.engines.quota import Quota
from armillary.errors import ArmillaryError, ConflictError, QuotaExceededError
from armillary.platform.exports.port import DestinationPort, Outgoing
from armillary.platform.exports.sources import encode
from armillary.twin.author.data_export import DataExport, parse_export

# Replays at once, each a thread; and of one caller.
MAX_REPLAYS: Final = 8
MAX_REPLAYS_OF_CALLER: Final = 2
# One replay begins no delivery after this time (seconds): a destination that takes a letter every half a minute would
# have it for a day. The rest stays, and is tried again when somebody asks again.
REPLAY_S: Final = 600.0
# How long who asks waits for the outcome (seconds).
ANSWER_S: Final = 5.0
_RETRY_S: Final = 30

_log = structlog.get_logger(__name__)


class Replay:
    """A replay that was begun; ``outcome`` is done when it is over, with the records delivered or with why it ended."""

    def __init__(self) -> None:
        self.delivered = 0
        self.outcome: Future[int] = Future()

    async def ended(self) -> bool:
        """Whether it was over within :data:`ANSWER_S`.

        Raises:
            ConflictError: the destination does not take them; the rest stays.
            ArmillaryError: something else ended it.
        """
        outcome = asyncio.wrap_future(self.outcome)
        done, _ = await asyncio.wait((outcome,), timeout=ANSWER_S)
        if not done:
            outcome.add_done_callback(lambda each: each.cancelled() or each.exception())  # seen: it is in the log
            return False
        outcome.result()
        return True


class Replays:
    """Replays of one hub; whoever calls ``open_destination`` closes what it returns."""

    def __init__(
        self,
        store: OnDemand[ExportStore],
        documents: DocumentStore,
        open_destination: Callable[[str, DataExport], DestinationPort],
    ) -> None:
        self._store = store
        self._documents = documents
        self._open_destination = open_destination
        self._of_caller = Quota(
            "replays under way", each=MAX_REPLAYS_OF_CALLER, total=MAX_REPLAYS, retry_after_s=_RETRY_S
        )
        self._of_export = Quota("replays under way", each=1, total=MAX_REPLAYS, retry_after_s=_RETRY_S)
        self._is_closing = False

    def begin(self, export_id: str, caller: str, entry: AuditEntry, *, catalog: str = "") -> Replay:
        """Deliver dead letters again, oldest first, until one is refused.

        Replays under way are limited for one ``caller`` and for all callers of one ``catalog`` (empty for none).
        The audit entry's detail is made of how many records were delivered, and kept with each letter.

        Raises:
            NotFoundError: there is no such export.
            QuotaExceededError: a replay of this export is under way, or the caller or all together have as many as they
                may have.
        """
        export = parse_export(self._documents.get("export", export_id).content)
        of_export = f"the export {export_id}"
        self._of_export.take(of_export)
        try:
            self._of_caller.take(caller, catalog)
        except QuotaExceededError:
            self._of_export.free(of_export)
            raise
        replay = Replay()

        def work() -> None:
            fault: BaseException | None = None
            try:
                with self._store.get().outbox.held() as entry_id:
                    self._deliver(export_id, export, replay, replace(entry, entry_id=entry_id))
            except BaseException as error:  # noqa: BLE001 - handed to whoever asks, and to the log
                fault = error
            finally:
                self._of_export.free(of_export)
                self._of_caller.free(caller, catalog)
            self._end(export_id, replay, fault)

        threading.Thread(target=work, name=f"hub-replay-{export_id[:32]}", daemon=True).start()
        return replay

    def close(self) -> None:
        """Begin no other delivery: what is not settled stays a dead letter."""
        self._is_closing = True

    def _deliver(self, export_id: str, export: DataExport, replay: Replay, entry: AuditEntry) -> None:
        ends, after, store = time.monotonic() + REPLAY_S, 0, self._store.get()
        destination = self._open_destination(export_id, export)
        try:
            while letters := store.dead_letters(export_id, after=after):
                for letter in letters:
                    self._check_time(ends)
                    destination.deliver(_records_of(letter), f"{export_id}-dead-{letter.number}")
                    detail = entry.detail_of(replay.delivered + letter.count)
                    store.settle(export_id, letter.number, replace(entry, detail=detail))
                    replay.delivered += letter.count
                after = letters[-1].number
            if not replay.delivered:
                store.outbox.note(replace(entry, detail=entry.detail_of(0)))
        except (NotNowError, NeverError) as error:
            raise ConflictError(
                f"export {export_id[:64]!a}: {error}; {replay.delivered} records were delivered",
                remedy="Put the destination right, then replay again.",
            ) from error
        finally:
            destination.close()

    def _check_time(self, ends: float) -> None:
        if self._is_closing or time.monotonic() >= ends:
            raise NotNowError(f"not done within {REPLAY_S:.0f} seconds")

    def _end(self, export_id: str, replay: Replay, fault: BaseException | None) -> None:
        if self._is_closing:
            replay.outcome.cancel()
            return
        if fault is None:
            replay.outcome.set_result(replay.delivered)
            return
        why = (
            fault.message if isinstance(fault, ArmillaryError) else f"a fault of this program ({type(fault).__name__})"
        )
        _log.warning("hub.export-replay-ended", export=export_id, delivered=replay.delivered, why=why)
        replay.outcome.set_exception(fault)


def _records_of(letter: DeadLetter) -> list[Outgoing]:
    return [
        Outgoing(encode(document), device_id, record_id)
        for document, (device_id, record_id) in zip(letter.records, letter.origins, strict=True)
    ]

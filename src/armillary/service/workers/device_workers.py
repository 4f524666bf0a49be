# SPDX-License-Identifier: Apache-2.0
"""The device workers of a service: started, sent every change, watched, and started again when they die.

Whatever changes what workers keep in their caches is sent to all of them, and the call that made the change returns
only when every worker has answered. A worker that does not answer in time is killed before the call returns: nobody can
be served by one that missed a change. A new one begins with empty caches.

One thread starts the workers and reads what they send (they die with it); another does what they report, because that
needs the records, and sends changes whose answers the first one has to read.

==================  ===================================================================================
limit               what happens
==================  ===================================================================================
``ANSWER_S``        a worker has not answered a change: killed
``START_S``         a worker is not ready after its start: killed
``SILENT_S``        no heartbeat, or its event loop stands still: killed; the watch was alarmed before
``STOP_S``          not ended after it was asked to stop: killed
==================  ===================================================================================
"""

from __future__ import annotations

import asyncio
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import structlog

from armillary.engines.acceptor import reserve
from armillary.engines.records.queries import devices as device_rows
from armillary.errors import ArmillaryError, HostError, WireError
from armillary.service.authority.server_certificate import ServerFiles
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.watch import detections
from armillary.service.watch.detections import Observation
from armillary.service.watch.heartbeat import Liveness
from armillary.service.workers.channel import Channel
from armillary.service.workers.device_worker import settings_to_text
from armillary.service.workers.process import WorkerProcess
from armillary.wire.device import worker_message as messages

# A worker that starts has read everything after a second; one that runs answers in a millisecond.
ANSWER_S: Final = 10.0
START_S: Final = 30.0
# Longer than heartbeat.STOPPED_AFTER_S and a check: the finding comes first.
SILENT_S: Final = 15.0
STOP_S: Final = 5.0
TURN_S: Final = 0.2

_log = structlog.get_logger("armillary.service.workers")


class DeviceWorkers:
    """The pool, with the interface that ``DeviceServer`` has in the one-process form.

    What workers report goes to ``notices``, the death of one as a finding to ``observe``; ``hub`` is the host and port
    of the hub as devices are given them.
    """

    def __init__(
        self, context: Context, notices: Notices, observe: Callable[[Observation], object], *, hub: tuple[str, int]
    ) -> None:
        self._context = context
        self._notices = notices
        self._observe = observe
        self._hub = hub
        self._workers = [WorkerProcess(number) for number in range(context.settings.device_worker_count)]
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._number = 0
        self._past: Counter[str] = Counter()
        self._is_closing = False
        self._refusal: HostError | None = None
        self._reserved: list[socket.socket] = []
        self._port = 0
        self._selector = selectors.DefaultSelector()
        self._reports = ThreadPoolExecutor(1, thread_name_prefix="device-workers-reports")
        self._thread = threading.Thread(target=self._supervise, name="device-workers", daemon=True)

    # -- life -----------------------------------------------------------------------------------------------------

    async def start(self, host: str, port: int) -> int:
        """Start the workers; returns the port when all of them accept devices.

        Raises:
            PortInUseError: another process has the port.
            HostError: a worker cannot start; none is left.
        """
        self._reserved, self._port = await asyncio.to_thread(reserve, "device endpoint", host, port)
        self._thread.start()
        try:
            await asyncio.to_thread(self._await_ready)
        except BaseException:  # undone whatever it was, then raised on
            await self.close()
            raise
        return self._port

    async def close(self) -> None:
        """Have the workers finish what is being recorded and end."""
        await asyncio.to_thread(self._close)

    @property
    def is_whole(self) -> bool:
        """Whether every worker accepts devices."""
        return all(worker.state == "ready" for worker in self._workers)

    @property
    def liveness(self) -> Liveness:
        """The worst of all workers: the oldest heartbeat and the longest wait."""
        noted = [worker.liveness for worker in self._workers]
        return Liveness(min(one.at for one in noted), max(one.oldest_wait_s for one in noted))

    @property
    def connections(self) -> int:
        """Open connections, as of the last heartbeats."""
        return sum(worker.connections for worker in self._workers)

    @property
    def counts(self) -> Counter[str]:
        """What was counted, as of the last heartbeats, workers that have ended included."""
        return sum((Counter(worker.counts) for worker in self._workers), self._past.copy())

    def describe(self) -> list[dict[str, object]]:
        """Each worker, for the health of the service."""
        return [worker.describe() for worker in self._workers]

    # -- changes: from any thread but this module's own -------------------------------------------------------------

    def device_changed(self, device_id: str) -> None:
        """No worker uses what it has kept of a device any more when this returns."""
        self.devices_changed((device_id,))

    def devices_changed(self, device_ids: Sequence[str]) -> None:
        """The same of several: workers are waited for once for :data:`messages.MAX_CHANGED` of them."""
        for first in range(0, len(device_ids), messages.MAX_CHANGED):
            portion = tuple(device_ids[first : first + messages.MAX_CHANGED])
            self._send(partial(messages.Changed, device_ids=portion))

    def disconnect(self, device_id: str) -> None:
        """The same, and no connection of the device is open when this returns."""
        self._send(lambda number: messages.Cut(number, device_id))

    def reread(self, topic: str) -> None:
        """Every worker has read offers, releases, policies or authorities again when this returns."""
        self._send(lambda number: messages.Reread(number, topic))

    def present(self, _: ServerFiles) -> None:
        """Every worker presents the present server certificate when this returns."""
        self.reread(messages.AUTHORITIES)

    def _send(self, message: Callable[[int], messages.Message], *, but: WorkerProcess | None = None) -> None:
        late: list[tuple[WorkerProcess, int]] = []
        with self._lock:
            if self._is_closing:
                return
            self._number += 1
            number = self._number
            sent = [(one, one.life) for one in self._workers if one is not but and self._sent(one, message(number))]

            def unanswered() -> list[tuple[WorkerProcess, int]]:
                return [(one, life) for one, life in sent if one.life == life and one.done < number]

            self._changed.wait_for(lambda: not unanswered(), ANSWER_S)
            late = unanswered()
        for worker, _ in late:
            _log.error("a device worker did not answer and is killed", worker=worker.number, pid=worker.pid)
            worker.kill()

    def _sent(self, worker: WorkerProcess, message: messages.Message) -> bool:
        """Whether a worker is to answer; one whose channel is broken is being replaced and serves nobody."""
        if worker.channel is None:
            return False
        try:
            worker.channel.send(message)
        except OSError:
            worker.kill()
            return False
        return True

    # -- the thread that workers belong to ------------------------------------------------------------------------

    def _supervise(self) -> None:
        try:
            while not (self._is_closing and all(worker.channel is None for worker in self._workers)):
                self._revive()
                for key, _ in self._selector.select(TURN_S):
                    self._hear(key.data, key.fileobj)
                self._look()
        finally:  # after a bug of ours too: workers whose messages are not read must not serve
            for worker in self._workers:
                worker.kill()

    def _revive(self) -> None:
        for worker in self._workers:
            if worker.channel is not None or self._is_closing or time.monotonic() < worker.due:
                continue
            first = messages.Start(settings_to_text(self._context.settings), self._port, *self._hub)
            with self._lock:  # what changes from here on is sent to it, what changed before it will read
                try:
                    channel = worker.start(first)
                except OSError as error:
                    _log.error("a device worker cannot be started", worker=worker.number, error=str(error))
                    worker.end()
                    continue
            self._selector.register(channel, selectors.EVENT_READ, worker)

    def _hear(self, worker: WorkerProcess, channel: object) -> None:
        if not isinstance(channel, Channel):
            raise TypeError(f"a channel expected, got {type(channel).__name__}")
        try:
            for message in channel.receive():
                self._take(worker, message)
        except (EOFError, OSError):
            self._replace(worker, "it has ended")
        except WireError as error:
            self._replace(worker, error.message)

    def _take(self, worker: WorkerProcess, message: messages.Message) -> None:
        match message:
            case messages.Done(number):
                with self._changed:
                    worker.done = number
                    self._changed.notify_all()
            case messages.Heartbeat():
                worker.beat(message)
            case messages.Ready():
                with self._changed:
                    worker.is_ready()
                    self._changed.notify_all()
                _log.info("device worker ready", worker=worker.number, pid=worker.pid, port=self._port)
            case messages.News():
                self._report(self._notices.news)
            case messages.Held(device_id):
                self._report(lambda: self._held(device_id, worker))
            case messages.Failed(code, text, remedy):
                _log.error("a device worker cannot start", worker=worker.number, error=text, remedy=remedy)
                with self._changed:
                    self._refusal = HostError(text, remedy=remedy, code=code)
                    self._changed.notify_all()
            case _:
                raise WireError("worker message", expected="one of a worker's", got=type(message).__name__)

    def _look(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.state == "starting" and now - worker.began > START_S:
                self._replace(worker, "it does not become ready")
            elif worker.state == "ready" and now - worker.liveness.at > SILENT_S:
                self._replace(worker, "it stands still")

    def _replace(self, worker: WorkerProcess, why: str) -> None:
        if worker.channel is not None:
            self._selector.unregister(worker.channel)
        pid, was_ready = worker.pid, worker.state == "ready"
        with self._changed:
            self._past.update(worker.counts)
            seconds = worker.end()
            self._changed.notify_all()
        if self._is_closing:
            return
        worker.restarts += 1
        _log.error("a device worker is gone", worker=worker.number, pid=pid, why=why, ran_s=seconds)
        if was_ready:
            self._report(lambda: self._died(seconds))

    def _await_ready(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.is_whole or self._refusal is not None, START_S)
            if self._refusal is not None:
                raise self._refusal
            if not self.is_whole:
                raise HostError(
                    f"the device workers were not ready within {START_S:.0f} s",
                    remedy="Look at the log for why they end, or use fewer: --device-workers.",
                )

    def _close(self) -> None:
        with self._lock:
            self._is_closing = True
            for worker in self._workers:
                self._sent(worker, messages.Stop())
        if self._thread.is_alive():
            self._thread.join(STOP_S)
        for worker in self._workers:
            worker.kill()
        if self._thread.is_alive():
            self._thread.join()
        self._reports.shutdown()
        self._selector.close()
        for one in self._reserved:
            one.close()

    # -- the thread that does what they report ----------------------------------------------------------------------

    def _report(self, work: Callable[[], object]) -> None:
        def guarded() -> None:
            try:
                work()
            except ArmillaryError as error:
                _log.error("what a device worker reported could not be done", error=error.message)

        self._reports.submit(guarded)

    def _held(self, device_id: str, by: WorkerProcess) -> None:
        """A worker holds a device: the others disconnect it (the worker's own reply is on its way), the hub too."""
        self._send(lambda number: messages.Cut(number, device_id), but=by)
        self._notices.device_held(device_id)

    def _died(self, seconds: int) -> None:
        """A worker died before it reported all: have the watch run, and report every held device again."""
        for device_id in self._context.records.read(device_rows.held):
            self._notices.device_held(device_id)
        self._notices.news()
        self._observe(detections.of_verifier("worker", seconds, self._context.now()))

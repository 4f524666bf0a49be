# SPDX-License-Identifier: Apache-2.0
"""A device worker: a process that serves the device endpoint and nothing else, beside others on the same port.

It shares the data folder with the service that started it, which holds the folder's lock: own connections to the
records and an own writer thread, own cache of devices, the issuing keys from the folder. Its caches are right because
the service sends it every change and waits until it has answered (``wire/device/worker_message.py`` has the messages);
and what two workers decide at once the database settles: a challenge is spent once, and a check-in that follows another
than the newest is refused.

It lives no longer than the service: the system kills it with the thread that started it (``PR_SET_PDEATHSIG``), and it
ends itself when the socket pair reads an end of file. Where it cannot do what the service asks, it ends at once: the
service starts another, whose caches are empty.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final, NoReturn

import structlog

from armillary.engines.records.folder import DataFolder
from armillary.engines.records.store import Records
from armillary.errors import ArmillaryError, WireError
from armillary.service.authority.authority import Authority
from armillary.service.context.blobs import Blobs
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.endpoint.device_server import DeviceServer, ServingParts
from armillary.service.updates.offers import Offers
from armillary.service.verifier.attestation_policy import AttestationPolicies
from armillary.service.verifier.released_loaders import ReleasedLoaders
from armillary.service.verifier.releases import Releases
from armillary.service.workers.channel import Channel
from armillary.settings import Settings
from armillary.wire.device import worker_message as messages

HEARTBEAT_S: Final = 1.0
_PR_SET_PDEATHSIG: Final = 1  # prctl(2)

_log = structlog.get_logger("armillary.service.worker")


def settings_to_text(settings: Settings) -> str:
    """A worker's settings: those of the service without its token, whose keys no worker uses."""
    own = replace(settings, pkcs11_module="", pkcs11_token="", pkcs11_pin_file="")
    return json.dumps({name: str(value) if isinstance(value, Path) else value for name, value in asdict(own).items()})


def settings_from_text(text: str) -> Settings:
    """The reverse of :func:`settings_to_text`."""
    values = json.loads(text)
    return Settings(**{**values, "data": Path(values["data"])})


def end_with_service() -> None:
    """Have the system kill this process when the thread that started it ends; leave Ctrl-C to the service."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


async def serve(descriptor: int, set_log_level: Callable[[str], object] = lambda _: None) -> int:
    """Serve devices until the service says stop; returns the exit status.

    ``descriptor`` is the inherited end of the socket pair; ``set_log_level`` is called with the service's level.
    """
    channel = Channel(socket.socket(fileno=descriptor))
    try:
        start, *early = _first(channel)
    except (OSError, EOFError, WireError):  # the service is gone already
        return 1
    settings = settings_from_text(start.settings)
    set_log_level(settings.log_level)
    with contextlib.ExitStack() as undo:
        try:
            worker = DeviceWorker(settings, channel, start)
            undo.callback(worker.context.records.close)
            await worker.open(early)
        except ArmillaryError as error:
            with contextlib.suppress(OSError):
                channel.send(messages.Failed(error.code, error.message[:1000], error.remedy[:1000]))
            return 1
        await worker.stopped.wait()
        await worker.close()
    worker.say_all()
    return 0


def _first(channel: Channel) -> tuple[messages.Start, *tuple[messages.Message, ...]]:
    found: list[messages.Message] = []
    while not found:
        found = channel.receive()
    if not isinstance(found[0], messages.Start):
        raise WireError("worker message", expected="Start first", got=type(found[0]).__name__)
    return found[0], *found[1:]


class DeviceWorker:
    """The parts of one worker, and the threads that receive from the service and send to it."""

    def __init__(self, settings: Settings, channel: Channel, start: messages.Start) -> None:
        folder = DataFolder.shared(settings.data)
        records = Records.open(folder.database, fresh=False)
        self.context = context = Context(settings=settings, folder=folder, records=records)
        self.stopped = asyncio.Event()
        self._channel = channel
        self._port = start.device_port
        self._loop = asyncio.get_running_loop()
        self._saying: queue.SimpleQueue[messages.Message | None] = queue.SimpleQueue()
        self._has_news = False
        self._speaker = threading.Thread(target=self._speak, name="worker-speaker", daemon=True)
        notices, chips, blobs = Notices(), Chips.load(), Blobs(folder.blobs)
        authority = Authority(context, notices)
        releases = Releases(context, authority, blobs, chips)
        self._parts = ServingParts(
            context=context,
            notices=notices,
            chips=chips,
            blobs=blobs,
            authority=authority,
            releases=releases,
            policies=AttestationPolicies(context, chips, ReleasedLoaders(releases, blobs)),
            offers=Offers(context, chips),
        )
        releases.on_change += [self._parts.policies.refresh, self._parts.offers.refresh]
        self._server = DeviceServer(
            self._parts, hub=(start.hub_host, start.hub_port), has_siblings=settings.device_worker_count > 1
        )
        notices.on_held.append(lambda device_id: self._saying.put(messages.Held(device_id)))
        notices.on_news.append(self._report_news)

    async def open(self, early: list[messages.Message]) -> None:
        """Read the records, then accept devices; ArmillaryError if it cannot.

        Every change from here on is sent to it: the service counted this worker before it existed.
        """
        parts = self._parts
        parts.authority.open_to_issue()
        for refresh in (parts.releases.refresh, parts.policies.refresh, parts.offers.refresh):
            refresh()
        threading.Thread(target=self._listen, args=(early,), name="worker-listener", daemon=True).start()
        await self._server.start(self.context.settings.host, self._port, shared=True)
        self._loop.add_signal_handler(signal.SIGTERM, self.stopped.set)
        self._saying.put(messages.Ready())
        self._speaker.start()

    async def close(self) -> None:
        """Accept nobody any more, finish what is being recorded, close every connection."""
        await self._server.close()

    def say_all(self) -> None:
        """Send what is left to send; the last act of the process."""
        self._saying.put(None)
        self._speaker.join(HEARTBEAT_S)

    # -- messages of the service --------------------------------------------------------------------------------------

    def _listen(self, early: list[messages.Message]) -> None:
        try:
            received = early
            while True:
                for message in received:
                    self._do(message)
                received = self._channel.receive()
        except (EOFError, OSError):
            _end("the service is gone")
        except ArmillaryError as error:  # what it cannot do it must not seem to have done
            _end(error.message)
        finally:  # a bug of ours: a worker that hears of no change must not serve
            _end("it hears nothing any more")

    def _do(self, message: messages.Message) -> None:
        """Carry out a message of the service, and answer that it is done; ArmillaryError if it cannot be done."""
        match message:
            case messages.Changed(number, device_ids):
                self._server.devices_changed(device_ids)
            case messages.Cut(number, device_id):
                self._cut(device_id)
            case messages.Reread(number, topic):
                self._reread(topic)
            case messages.Stop():
                self._loop.call_soon_threadsafe(self.stopped.set)
                return
            case _:
                raise WireError("worker message", expected="one of the service's", got=type(message).__name__)
        self._channel.send(messages.Done(number))

    def _cut(self, device_id: str) -> None:
        self._server.states.mark_stale(device_id)
        self._server.endpoint.disconnect(device_id)
        is_done = threading.Event()
        self._loop.call_soon_threadsafe(is_done.set)  # after the disconnection: the loop keeps the order
        is_done.wait()

    def _reread(self, topic: str) -> None:
        match topic:
            case messages.OFFERS:
                self._parts.offers.refresh()
            case messages.RELEASES:
                self._parts.releases.refresh()
            case messages.POLICIES:
                self._parts.policies.refresh()
            case messages.AUTHORITIES:
                authority = self._parts.authority
                authority.open_to_issue()
                self._server.present(authority.server.files())
                self._server.trust(*authority.silicon.certificates())

    # -- messages to the service --------------------------------------------------------------------------------------

    def _report_news(self) -> None:
        if not self._has_news:
            self._has_news = True
            self._saying.put(messages.News())

    def _speak(self) -> None:
        due = time.monotonic()
        with contextlib.suppress(OSError):  # the service is gone: the listener ends this process
            while True:
                if time.monotonic() >= due:
                    due = time.monotonic() + HEARTBEAT_S
                    self._channel.send(self._heartbeat())
                try:
                    message = self._saying.get(timeout=max(0.0, due - time.monotonic()))
                except queue.Empty:
                    continue
                if message is None:
                    return
                if isinstance(message, messages.News):
                    self._has_news = False
                self._channel.send(message)

    def _heartbeat(self) -> messages.Heartbeat:
        noted = self._server.liveness
        return messages.Heartbeat(
            age_ms=max(0, int(1000 * (time.monotonic() - noted.at))),
            oldest_wait_s=max(0, noted.oldest_wait_s),
            connections=self._server.connections,
            counts=dict(self._server.counts),
        )


def _end(why: str) -> NoReturn:
    """End this process now: nothing that is not committed was acknowledged."""
    _log.error("the device worker ends", why=why)
    os._exit(1)

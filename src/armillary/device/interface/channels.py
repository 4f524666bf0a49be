# SPDX-License-Identifier: Apache-2.0
"""Channels between applications that name each other: ``application.connect`` hands out one end of a channel.

As on the chip, a channel carries messages of at most a kibibyte, whole and in order. It is a SEQPACKET socket, whose
other end is the device's: the device takes each message and gives it to the partner, so that nothing but bytes goes
from one application to another. No descriptor does, by which one could lend the other what its manifest does not name.
It holds one message each way; further ones wait in the sockets, and then their sender waits.

The end of one side is the end of the channel for the other, once it has read what was sent before: when a process
closes it, when its application ends, and when a message is too long. Whoever then asks again gets an end of the next.
Each end is a line of the device's log; of many of the same kind some are (``report_limit.py``), with how many.
"""

from __future__ import annotations

import asyncio
import errno
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID
from weakref import WeakSet

from armillary.capability.grant import Grant
from armillary.device.interface.method import Answer, Call, Method
from armillary.device.interface.session import Session
from armillary.device.state.journal import Journal
from armillary.device.state.report_limit import ReportLimit

CAPABILITY = "AllowedApplicationConnections"
MESSAGE_LIMIT_BYTES = 1024
# Messages taken per wake-up, so that two applications cannot starve the device's loop.
BURST_LIMIT = 32
# Of a socket: the kernel counts about 700 bytes beside each message, so some tens of messages.
BUFFER_BYTES = 32 * 1024


@dataclass(slots=True)
class _End:
    """One side: the device's socket, the application's until it is handed out, and a message that waits for it."""

    component_id: UUID
    device: socket.socket
    application: socket.socket | None
    waiting: bytes | None = None


@dataclass(slots=True)
class _Channel:
    """Two ends, and what carries messages between them. ``ended`` is called once, with why."""

    ends: tuple[_End, _End]
    ended: Callable[[_Channel, str], None]
    is_open: bool = True

    @classmethod
    def between(cls, one: UUID, other: UUID, ended: Callable[[_Channel, str], None]) -> _Channel:
        """A channel that is open, with both ends here."""
        ends = []
        for component_id in (one, other):
            device, application = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            for each in (device, application):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            # An unused name, which it keeps: it belongs to the host's network, where its application is to take none.
            application.bind("")
            device.setblocking(False)
            ends.append(_End(component_id, device, application))
        channel = cls((ends[0], ends[1]), ended)
        for end in channel.ends:
            channel._read_from(end)
        return channel

    def end_of(self, component_id: UUID) -> _End:
        """The side of an application."""
        return self.ends[0] if self.ends[0].component_id == component_id else self.ends[1]

    def close(self, reason: str) -> None:
        """End it for both."""
        if not self.is_open:
            return
        self.is_open = False
        loop = asyncio.get_running_loop()
        for end in self.ends:
            loop.remove_reader(end.device.fileno())
            loop.remove_writer(end.device.fileno())
            end.device.close()
            if end.application is not None:
                end.application.close()
        self.ended(self, reason)

    def _read_from(self, end: _End) -> None:
        asyncio.get_running_loop().add_reader(end.device.fileno(), self._on_readable, end)

    def _on_readable(self, end: _End) -> None:
        partner = self.ends[1] if end is self.ends[0] else self.ends[0]
        for _ in range(BURST_LIMIT):
            if partner.waiting is not None:
                asyncio.get_running_loop().remove_reader(end.device.fileno())
                return
            try:
                message = end.device.recv(MESSAGE_LIMIT_BYTES + 1)
            except BlockingIOError:
                return
            except OSError:
                self.close("one side has closed it")
                return
            if not message and _has_hung_up(end.device):
                self.close("one side has closed it")
                return
            if len(message) > MESSAGE_LIMIT_BYTES:
                self.close(f"a message of more than {MESSAGE_LIMIT_BYTES} bytes")
                return
            self._give(partner, message)
            if not self.is_open:
                return

    def _give(self, end: _End, message: bytes) -> None:
        """Send a message to a side, now or when it has room."""
        try:
            end.device.send(message)
        except BlockingIOError:
            end.waiting = message
            asyncio.get_running_loop().add_writer(end.device.fileno(), self._on_writable, end)
        except OSError:
            self.close("one side has closed it")

    def _on_writable(self, end: _End) -> None:
        message, end.waiting = end.waiting, None
        asyncio.get_running_loop().remove_writer(end.device.fileno())
        if message is not None:
            self._give(end, message)
        if self.is_open and end.waiting is None:
            self._read_from(self.ends[1] if end is self.ends[0] else self.ends[0])


class Channels:
    """All channels of a device; ``grant_of`` has the grant of an application that is installed."""

    def __init__(
        self,
        grant_of: Callable[[UUID], Grant | None],
        journal: Journal,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._grant_of = grant_of
        self._journal = journal
        self._now = now
        self._limit = ReportLimit()
        self._untold: dict[tuple[frozenset[UUID], str], int] = {}  # Applications and reason to ends without a line
        self._open: dict[frozenset[UUID], _Channel] = {}
        self._watched: WeakSet[Session] = WeakSet()

    @property
    def methods(self) -> tuple[Method, ...]:
        """The row."""
        return (Method("application.connect", CAPABILITY, self._connect),)

    async def _connect(self, call: Call) -> Answer:
        """An end of the channel to a partner, who has to name the caller as the caller names it."""
        text = call.parameters.text("component_id", least=36, most=36)
        call.parameters.finish()
        try:
            partner = UUID(text)
        except ValueError as error:
            raise call.parameters.refused("component_id", "the id of a component", text) from error
        own = call.session.grant
        if partner not in own.partners:
            raise call.not_granted(CAPABILITY, str(partner), sorted(map(str, own.partners)))
        theirs = self._grant_of(partner)
        if theirs is None:
            raise OSError(errno.ENOENT, f"this device has no application of component {partner}")
        if own.component_id not in theirs.partners:
            raise OSError(errno.EACCES, f"the manifest of {partner} does not name this application")
        self._watch(call.session)
        return Answer(result={"message_limit_bytes": MESSAGE_LIMIT_BYTES}, descriptors=(self._take(own, partner),))

    def _take(self, own: Grant, partner: UUID) -> int:
        """The caller's end: of the channel that its partner began, or of a new one."""
        pair = frozenset((own.component_id, partner))
        channel = self._open.get(pair)
        if channel is None or channel.end_of(own.component_id).application is None:
            if channel is not None:
                channel.close("one side has asked anew")
            channel = _Channel.between(own.component_id, partner, lambda found, why: self._ended(pair, found, why))
            self._open[pair] = channel
        end = channel.end_of(own.component_id)
        handed, end.application = end.application, None
        if handed is None:
            raise OSError(errno.EAGAIN, "the channel ended meanwhile")
        return handed.detach()

    def _watch(self, session: Session) -> None:
        """End with a run the channels whose end it has not taken; the kernel closes those that it has."""
        if session not in self._watched:
            self._watched.add(session)
            session.on_close(lambda: self._end_of(session.grant.component_id))

    def _end_of(self, component_id: UUID) -> None:
        for pair, channel in list(self._open.items()):
            if component_id in pair and channel.end_of(component_id).application is not None:
                channel.close("one side has ended")

    def _ended(self, pair: frozenset[UUID], channel: _Channel, reason: str) -> None:
        if self._open.get(pair) is channel:
            del self._open[pair]
        times = self._untold.pop((pair, reason), 0) + 1
        if not self._limit.take((pair, reason), int(self._now())):
            self._untold[pair, reason] = times
            return
        self._journal.write("channel-ended", components=sorted(str(each) for each in pair), reason=reason, times=times)


def _has_hung_up(stream: socket.socket) -> bool:
    """Whether nothing more comes: an empty message reads like the end."""
    poll = select.poll()
    poll.register(stream, select.POLLRDHUP)
    return any(event & (select.POLLHUP | select.POLLRDHUP) for _, event in poll.poll(0))

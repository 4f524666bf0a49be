# SPDX-License-Identifier: Apache-2.0
"""The other end of the mailbox: a channel to each application that the manifest names, handed out by the device.

The same channels as high-level applications have among themselves (``application.connect``): the device decides who
talks to whom and sees each refusal. One is asked for at the start and again whenever it ends. The core never waits for
a partner: a message that its channel has no room for is refused, and nothing is taken that the core has no room for.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

from armillary.engines.real_time.within.interface import Interface
from armillary.engines.real_time.within.mailbox import MESSAGE_LIMIT_BYTES, Letter, MailboxEnd

CONNECT: Final = "application.connect"
# A partner that is not there, or does not name this application, may be updated: asked again this often.
REFUSED_S: Final = 1.0
# A channel that has ended is asked for anew after this time: two sides must not chase one another.
ENDED_S: Final = 0.1
# The device is told of tries to reach strangers so often: each stranger is a line in its log.
STRANGER_S: Final = 1.0


@dataclass(slots=True)
class _Partner:
    """An application that the manifest names."""

    component_id: UUID
    stream: socket.socket | None = None
    asked: bool = False
    problem: int = 0  # why the device gave no channel
    again_at: float = 0.0


class Partners:
    """Carries messages between a mailbox and the channels to ``named`` applications."""

    def __init__(
        self, interface: Interface, mailbox: MailboxEnd, named: Iterable[UUID], monotonic: Callable[[], float]
    ) -> None:
        self._interface = interface
        self._mailbox = mailbox
        self._monotonic = monotonic
        self._partners = {each: _Partner(each) for each in named}
        self._turn = 0  # whose message is taken first
        self._stranger_at = monotonic()  # when the device is told of one again

    @property
    def streams(self) -> list[socket.socket]:
        """What may bring something that the core has room for."""
        found = [self._interface.stream]
        if self._mailbox.has_room:
            found += [each.stream for each in self._partners.values()]
        return [each for each in found if each is not None]

    def exchange(self) -> None:
        """Send and take what can be, without waiting."""
        now = self._monotonic()
        for partner in self._partners.values():
            if partner.stream is None and not partner.asked and now >= partner.again_at:
                partner.asked = True
                self._ask(partner.component_id, partial(self._on_channel, partner))
        self._interface.exchange()
        while self._mailbox.outgoing and self._send(self._mailbox.outgoing[0]):
            self._mailbox.outgoing.popleft()
        self._take()

    def _ask(self, component_id: UUID, on_answer: Callable[[int, int | None], None]) -> None:
        self._interface.ask(CONNECT, {"component_id": str(component_id)}, on_answer)

    def _on_channel(self, partner: _Partner, problem: int, descriptor: int | None) -> None:
        partner.asked, partner.problem = False, problem
        if descriptor is None:
            partner.again_at = self._monotonic() + REFUSED_S
            return
        partner.stream = socket.socket(fileno=descriptor)
        partner.stream.setblocking(False)

    def _send(self, letter: Letter) -> bool:
        """Settle a message; False while it is not known yet whether its receiver has a channel."""
        partner = self._partners.get(letter.partner)
        if self._interface.stream is None:
            self._mailbox.settled(errno.ENOTCONN)
        elif partner is None:
            self._refuse_stranger(letter.partner)
        elif partner.stream is not None:
            self._mailbox.settled(self._sent(partner, partner.stream, letter.content))
        elif partner.problem:
            self._mailbox.settled(partner.problem)
        else:
            return False
        return True

    def _sent(self, partner: _Partner, stream: socket.socket, content: bytes) -> int:
        try:
            stream.send(content)
        except BlockingIOError:
            return errno.EAGAIN
        except OSError:
            self._end(partner)
            return errno.ENOTCONN
        return 0

    def _refuse_stranger(self, component_id: UUID) -> None:
        """An application that the manifest does not name: the device is asked, so that it sees who tried."""
        self._mailbox.settled(errno.EACCES)
        if self._monotonic() >= self._stranger_at:
            self._stranger_at = self._monotonic() + STRANGER_S
            self._ask(component_id, _close_given)

    def _take(self) -> None:
        """One message of each partner in turn, as long as there are some and the core has room."""
        partners = [*self._partners.values()]
        quiet = 0
        while self._mailbox.has_room and quiet < len(partners):
            partner = partners[self._turn % len(partners)]
            self._turn += 1
            quiet = 0 if self._take_one(partner) else quiet + 1

    def _take_one(self, partner: _Partner) -> bool:
        if partner.stream is None:
            return False
        try:
            content = partner.stream.recv(MESSAGE_LIMIT_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            content = b""
        if content:
            self._mailbox.deliver(Letter(partner.component_id, content))
        elif _has_hung_up(partner.stream):
            self._end(partner)
            return False
        return True

    def _end(self, partner: _Partner) -> None:
        if partner.stream is not None:
            partner.stream.close()
        partner.stream, partner.again_at = None, self._monotonic() + ENDED_S


def _close_given(_: int, descriptor: int | None) -> None:
    """The answer for a stranger, who has no channel."""
    if descriptor is not None:
        os.close(descriptor)


def _has_hung_up(stream: socket.socket) -> bool:
    """Whether nothing more comes: an empty message reads like the end."""
    poll = select.poll()
    poll.register(stream, select.POLLRDHUP)
    return any(event & (select.POLLHUP | select.POLLRDHUP | select.POLLERR) for _, event in poll.poll(0))

# SPDX-License-Identifier: Apache-2.0
"""The device's end of a channel to a core's loader, and the mailbox of a core that is at its other end."""

from __future__ import annotations

import contextlib
import errno
import os
from collections import deque
from typing import Final

from armillary.engines.real_time.within.mailbox import QUEUE_LIMIT, Letter
from armillary.errors import WireError
from armillary.wire.device.core_channel import Frame, FrameReader, Kind, encode, pack_letter, parse_letter

READ_BYTES: Final = 16 * 1024
# While so much waits to be written nothing more is read: what comes would only make more of it.
UNSENT_LIMIT_BYTES: Final = 64 * 1024


class Channel:
    """Frames of one session over an open descriptor, which never waits."""

    def __init__(self, descriptor: int, session: bytes) -> None:
        self.descriptor = descriptor
        self.garbled = 0  # frames that were none
        self._session = session
        self._reader = FrameReader(sessions=True)
        self._unsent = bytearray(encode(Frame(Kind.STILL, session=session)))
        self._unsent[:0] = self._unsent[-1:]  # an end first: what was cut short before us is over

    def send(self, kind: Kind, body: bytes = b"") -> None:
        """Send a frame with the next :meth:`exchange`."""
        self._unsent += encode(Frame(kind, body, self._session))

    @property
    def unsent_bytes(self) -> int:
        """What waits to be written."""
        return len(self._unsent)

    @property
    def reads(self) -> bool:
        """Whether something is read now."""
        return len(self._unsent) < UNSENT_LIMIT_BYTES

    def exchange(self) -> list[Frame]:
        """Write and read what can be; frames of this session.

        Raises:
            ConnectionError: nobody is at the other end.
        """
        with contextlib.suppress(BlockingIOError):
            while self._unsent:
                del self._unsent[: os.write(self.descriptor, self._unsent)]
        try:
            data = os.read(self.descriptor, READ_BYTES) if self.reads else None
        except BlockingIOError:
            return []
        if data == b"":
            raise ConnectionResetError(errno.ECONNRESET, "nobody is at the other end of the core's channel")
        found = []
        for each in self._reader.feed(data or b""):
            if isinstance(each, WireError):
                self.garbled += 1
            elif each.session == self._session:
                found.append(each)
        return found


class RemoteMailbox:
    """The mailbox of a core at the other end of a channel (``mailbox.MailboxEnd``); its registers are there."""

    def __init__(self, channel: Channel) -> None:
        self.outgoing: deque[Letter] = deque()
        self._channel = channel
        self._delivered = 0  # messages that the core has not read yet

    @property
    def has_room(self) -> bool:
        """Whether one more message can be delivered."""
        return self._delivered < QUEUE_LIMIT

    def deliver(self, letter: Letter) -> bool:
        """A message for the core; False when it has no room for it."""
        if not self.has_room:
            return False
        self._delivered += 1
        self._channel.send(Kind.MAIL, pack_letter(letter.partner, letter.content))
        return True

    def settled(self, result: int) -> None:
        """What became of the oldest message that was sent."""
        self._channel.send(Kind.RESULT, result.to_bytes(4, "little"))

    def hear(self, frame: Frame) -> None:
        """SEND and TAKEN of the core; what breaks the mailbox's rules is answered by an error number."""
        if frame.kind == Kind.TAKEN:
            self._delivered = max(0, self._delivered - 1)
            return
        try:
            partner, content = parse_letter(frame.body)
        except WireError:
            self.settled(errno.EINVAL)
            return
        if len(self.outgoing) >= QUEUE_LIMIT:
            self.settled(errno.EAGAIN)
        else:
            self.outgoing.append(Letter(partner, content))

# SPDX-License-Identifier: Apache-2.0
"""The mailbox's registers: whole messages in and out, both queues bounded.

A message is the other application's component id (16 bytes, in the order of its text) and at most 1 KiB. A firmware
that sends garbage, too much or too often gets an error number in ``TX_RESULT`` and harms nobody.
"""

from __future__ import annotations

import errno
from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from armillary.engines.real_time.within import memory_map

ID_BYTES: Final = 16
MESSAGE_LIMIT_BYTES: Final = 1024
# Messages that wait in each direction: a sender that is faster than its partner is told so.
QUEUE_LIMIT: Final = 8
WORD_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Letter:
    """A message with the application at its other end."""

    partner: UUID
    content: bytes


class MailboxEnd(Protocol):
    """What carries messages to and from a core (``partners.py``) needs of its mailbox, wherever the core is."""

    outgoing: deque[Letter]

    @property
    def has_room(self) -> bool:
        """Whether one more message can be delivered."""
        ...

    def deliver(self, letter: Letter) -> bool:
        """A message for the core; False when it has no room for it."""
        ...

    def settled(self, result: int) -> None:
        """What became of the oldest message that was sent: 0, or an error number."""
        ...


class Mailbox:
    """What a core sees of its partners; ``MailboxEnd`` for a core that is here."""

    def __init__(self) -> None:
        self.outgoing: deque[Letter] = deque()
        self.empty_reads = 0  # in a row: a firmware that only waits
        self._incoming: deque[bytes] = deque()
        self._taken = 0  # bytes of the first one that were read
        self._written = bytearray()
        self._result = 0

    def deliver(self, letter: Letter) -> bool:
        """A message for the core; False when it has no room for it."""
        if not self.has_room:
            return False
        self._incoming.append(letter.partner.bytes + letter.content)
        return True

    def settled(self, result: int) -> None:
        """What became of a message that was sent: 0, or an error number."""
        self._result = result

    @property
    def has_mail(self) -> bool:
        """Whether a message waits for the core."""
        return bool(self._incoming)

    @property
    def has_room(self) -> bool:
        """Whether one more message can be delivered."""
        return len(self._incoming) < QUEUE_LIMIT

    def read(self, offset: int) -> int | None:
        """The value of a register; None where there is none."""
        if offset == memory_map.RX_SIZE:
            self.empty_reads = 0 if self._incoming else self.empty_reads + 1
            return len(self._incoming[0]) if self._incoming else 0
        if offset == memory_map.RX_DATA:
            return self._take_word()
        if offset == memory_map.TX_ROOM:
            return QUEUE_LIMIT - len(self.outgoing)
        return self._result if offset == memory_map.TX_RESULT else None

    def write(self, offset: int, value: int) -> bool:
        """Write a register; False where there is none."""
        self.empty_reads = 0
        if offset == memory_map.RX_DONE:
            self._drop()
        elif offset == memory_map.TX_DATA:
            if len(self._written) < ID_BYTES + MESSAGE_LIMIT_BYTES:  # what is more is refused by TX_SEND
                self._written += value.to_bytes(WORD_BYTES, "little")
        elif offset == memory_map.TX_SEND:
            self._result = self._send(value)
        else:
            return False
        return True

    def _take_word(self) -> int:
        if not self._incoming:
            return 0
        word = self._incoming[0][self._taken : self._taken + WORD_BYTES]
        self._taken += WORD_BYTES
        if self._taken >= len(self._incoming[0]):
            self._drop()
        return int.from_bytes(word, "little")

    def _drop(self) -> None:
        if self._incoming:
            self._incoming.popleft()
        self._taken = 0

    def _send(self, size: int) -> int:
        """Take a message into the queue; the error number, EINPROGRESS while it is under way."""
        written, self._written = bytes(self._written), bytearray()
        if size > ID_BYTES + MESSAGE_LIMIT_BYTES:
            return errno.EMSGSIZE
        if not ID_BYTES < size <= len(written):
            return errno.EINVAL
        if len(self.outgoing) >= QUEUE_LIMIT:
            return errno.EAGAIN
        self.outgoing.append(Letter(UUID(bytes=written[:ID_BYTES]), written[ID_BYTES:size]))
        return errno.EINPROGRESS

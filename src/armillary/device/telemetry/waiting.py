# SPDX-License-Identifier: Apache-2.0
"""Messages that wait to be sent: for each application a bounded queue, and the applications take turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

# A reading and its values are some hundred bytes; what is larger is a file, and goes by an upload.
MESSAGE_LIMIT_BYTES: Final = 16 * 1024
# Of one application: eight hours of a message a minute, and a small part of the 3 MB that it may cost the device.
QUEUE_LIMIT_MESSAGES: Final = 500
QUEUE_LIMIT_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """One message of an application: its properties as the hub has them, and its body."""

    component_id: UUID
    properties: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(slots=True)
class _Queue:
    messages: deque[Message] = field(default_factory=deque)
    size: int = 0
    dropped: int = 0
    sent: int = 0


class Waiting:
    """What waits, of all applications."""

    def __init__(self) -> None:
        self._queues: dict[UUID, _Queue] = {}  # in the order of their turns

    def __bool__(self) -> bool:
        return any(queue.messages for queue in self._queues.values())

    def add(self, message: Message) -> None:
        """Let a message wait; the oldest of its application are dropped for it where there is no room."""
        queue = self._queues.setdefault(message.component_id, _Queue())
        queue.messages.append(message)
        queue.size += len(message.body)
        self._bound(queue)

    def take(self, most: int) -> list[Message]:
        """The next messages, one of each application in turn."""
        taken: list[Message] = []
        while len(taken) < most and self:
            component_id, queue = next(each for each in self._queues.items() if each[1].messages)
            taken.append(queue.messages.popleft())
            queue.size -= len(taken[-1].body)
            self._queues[component_id] = self._queues.pop(component_id)  # its next turn is after the others'
        return taken

    def put_back(self, messages: Iterable[Message]) -> None:
        """Let messages that were taken and not sent wait again, before the others."""
        for message in reversed(list(messages)):
            queue = self._queues.setdefault(message.component_id, _Queue())
            queue.messages.appendleft(message)
            queue.size += len(message.body)
        for queue in self._queues.values():
            self._bound(queue)

    def sent(self, message: Message) -> None:
        """Count a message that the hub has."""
        self._queues.setdefault(message.component_id, _Queue()).sent += 1

    def clear(self) -> int:
        """Drop everything; returns how many messages it was."""
        count = 0
        for queue in self._queues.values():
            count += len(queue.messages)
            queue.dropped += len(queue.messages)
            queue.messages.clear()
            queue.size = 0
        return count

    def counts(self, component_id: UUID) -> dict[str, int]:
        """How many messages of an application wait, were sent and were dropped."""
        queue = self._queues.get(component_id, _Queue())
        return {"waiting": len(queue.messages), "sent": queue.sent, "dropped": queue.dropped}

    @staticmethod
    def _bound(queue: _Queue) -> None:
        while len(queue.messages) > QUEUE_LIMIT_MESSAGES or queue.size > QUEUE_LIMIT_BYTES:
            queue.size -= len(queue.messages.popleft().body)
            queue.dropped += 1

# SPDX-License-Identifier: Apache-2.0
"""Puts a socket of outside in the place of an application's own, under every number that the application has for it.

A descriptor that was copied before (dup(2)) stands for the same socket, so its number gets the new one as well, and an
event queue that waits for the old one waits for the new one (``event_queues``). Both are looked for once the new socket
is in its place: from then on nobody can copy or register the old one by that number, so none is missed. If they cannot
be kept, the old socket is put back everywhere, and the call fails.

Everything of the caller is opened before, and the kernel places nothing unless the caller still waits: what is read
afterwards is the caller's own.
"""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass, field

from armillary.engines.sandbox.network import kernel
from armillary.engines.sandbox.network.event_queues import QUEUE, register, registrations
from armillary.engines.sandbox.network.kernel import Descriptors
from armillary.engines.sandbox.network.reading import Reading

# An application with more descriptors has them looked at in a thread, which costs as much as looking at so many.
AT_ONCE_LIMIT = 128


@dataclass(slots=True)
class Replacement:
    """One socket that takes the place of another; the caller's call is not answered before it is done."""

    listener: int
    identity: int  # The notification's
    caller: Descriptors
    own: socket.socket  # The application's
    stream: socket.socket
    reading: Reading
    _placed: dict[int, int] = field(default_factory=dict)  # Number there to its descriptor flag, O_CLOEXEC or 0

    async def place(self, number: int) -> None:
        """Replace what the caller has under this number, and under others.

        Raises:
            OSError: the caller is gone, or has more event queues than are looked at; nothing was replaced then.
        """
        flags = self.caller.flags(number)
        os.set_blocking(self.stream.fileno(), not flags & os.O_NONBLOCK)
        self._place(number, flags & os.O_CLOEXEC)
        try:
            await self._keep_others(number)
        except BaseException:  # cancelled: the device ends, and the application with it
            for placed, flag in self._placed.items():
                kernel.place_descriptor(self.listener, self.identity, self.own.fileno(), placed, flag)
            raise

    def _place(self, number: int, flag: int) -> None:
        kernel.place_descriptor(self.listener, self.identity, self.stream.fileno(), number, flag)
        self._placed[number] = flag

    async def _keep_others(self, number: int) -> None:
        inode = os.fstat(self.own.fileno()).st_ino
        numbers = self.caller.numbers()
        link = f"socket:[{inode}]"
        if len(numbers) <= AT_ONCE_LIMIT:
            copies, queues = _look(self.caller, numbers, link)
        else:
            copies, queues = await self.reading.run(_look, self.caller, numbers, link)
        for each in copies:
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                if self.caller.link(each) == link:
                    self._place(each, self.caller.flags(each) & os.O_CLOEXEC)
        if not queues:
            return
        waited = await self.reading.run(registrations, self.caller, queues, [number, *copies], inode)
        if waited:
            register(self.caller, waited, self.stream.fileno())


def _look(caller: Descriptors, numbers: list[int], link: str) -> tuple[list[int], list[int]]:
    """The numbers that stand for what this link names, and those of event queues."""
    links = [(number, caller.link(number)) for number in numbers]
    return [number for number, each in links if each == link], [number for number, each in links if each == QUEUE]

# SPDX-License-Identifier: Apache-2.0
"""The line of a simulated modem: a pseudo-terminal or a socket, served by a thread, with the script's steps in time."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, Self

from armillary.sim.modem.radio import Radio
from armillary.sim.modem.script import ScriptStep, check_changes
from armillary.sim.serial.pseudo_terminal import PseudoTerminal

READ_BYTES: Final = 4096
# Somebody at the other end may be no reader for a while; what does not fit then is lost, as on a line.
_RETRY_S: Final = 0.5
_END_S: Final = 5.0


class Line(Protocol):
    """What the modem is at the other end of."""

    def fileno(self) -> int:
        """To wait for; -1 while nobody is there."""

    def read(self) -> bytes:
        """What has come."""

    def write(self, data: bytes) -> None:
        """Send; what does not fit is lost."""

    def open(self) -> None:
        """Begin to listen, or to look for who is there; called often."""

    def close(self) -> None:
        """End."""


class Answering(Protocol):
    """A simulated modem, whatever it speaks."""

    radio: Radio
    is_session_up: bool
    pin_tries: int

    def receive(self, data: bytes) -> bytes:
        """What it answers to these bytes."""

    def change(self, **changes: Any) -> bytes:
        """Change what is around it; what it says about that unasked."""

    def drop_session(self) -> bytes:
        """The network ends the session."""

    def detach(self) -> bytes:
        """The network detaches the modem."""

    def restart(self) -> bytes:
        """It starts again."""


class TerminalLine(PseudoTerminal):
    """A pseudo-terminal, which is open as long as it is there."""

    def open(self) -> None:
        """Nothing."""


class SocketLine:
    """A socket: QEMU listens at it as a chardev, and this connects, again whenever it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: socket.socket | None = None

    def open(self) -> None:
        """Connect, unless it is connected."""
        if self._stream is not None:
            return
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.connect(str(self._path))
        except OSError:
            stream.close()
            return
        stream.setblocking(False)
        self._stream = stream

    def fileno(self) -> int:
        """As the protocol has it."""
        return -1 if self._stream is None else self._stream.fileno()

    def read(self) -> bytes:
        """As the protocol has it; the end of the connection is none."""
        data = b""
        with contextlib.suppress(BlockingIOError):
            try:
                data = b"" if self._stream is None else self._stream.recv(READ_BYTES)
            except ConnectionError:
                data = b""
            if not data:
                self.close()
        return data

    def write(self, data: bytes) -> None:
        """As the protocol has it."""
        if self._stream is not None:
            with contextlib.suppress(OSError):
                self._stream.send(data)

    def close(self) -> None:
        """As the protocol has it."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None


class ServedModem:
    """A simulated modem at a line, in a thread of its own; use it as a context manager.

    ``hear`` is called in that thread with what a script does, for a log.
    """

    def __init__(
        self,
        modem: Answering,
        line: Line,
        script: Sequence[ScriptStep] = (),
        hear: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.modem = modem
        self._line = line
        self._script = deque(script)
        self._hear = hear
        self._asked: queue.SimpleQueue[tuple[Callable[[], bytes], threading.Event]] = queue.SimpleQueue()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._ends = False
        self._late: deque[tuple[float, bytes]] = deque()
        self._thread = threading.Thread(target=self._run, name="simulated modem", daemon=True)

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, and close the line."""
        self._ends = True
        os.eventfd_write(self._bell, 1)
        self._thread.join(_END_S)
        self._line.close()
        os.close(self._bell)

    def change(self, **changes: Any) -> None:
        """Change what is around it, as a step of a script does; returns when that is done."""
        check_changes(changes)
        self._do(lambda: self.modem.change(**changes))

    def event(self, name: str) -> None:
        """Let one of the script's events happen; returns when it has."""
        self._do(lambda: self._event(name))

    def _do(self, work: Callable[[], bytes]) -> None:
        done = threading.Event()
        self._asked.put((work, done))
        os.eventfd_write(self._bell, 1)
        done.wait(_END_S)

    def _event(self, name: str) -> bytes:
        events = {"drop-session": self.modem.drop_session, "detach": self.modem.detach, "restart": self.modem.restart}
        return events[name]() if name else b""

    def _run(self) -> None:
        began = time.monotonic()
        while not self._ends:
            self._line.open()
            now = time.monotonic()
            self._play(now - began)
            while self._late and self._late[0][0] <= now:
                self._line.write(self._late.popleft()[1])
            waits = [self._bell] if self._line.fileno() < 0 else [self._bell, self._line.fileno()]
            readable, _, _ = select.select(waits, [], [], self._pause(now - began))
            if self._bell in readable:
                os.eventfd_read(self._bell)
                self._work()
            elif readable:
                self._answer(self._line.read())

    def _pause(self, since_start: float) -> float:
        """Seconds until something is due."""
        due = [_RETRY_S]
        if self._script:
            due.append(self._script[0].after_s - since_start)
        if self._late:
            due.append(self._late[0][0] - time.monotonic())
        return max(min(due), 0.0)

    def _play(self, since_start: float) -> None:
        while self._script and self._script[0].after_s <= since_start:
            step = self._script.popleft()
            words = [f"{name}={'(hidden)' if name == 'pin' else value}" for name, value in step.changes.items()]
            self._hear(" ".join([*words, step.event]).strip())
            self._line.write(self.modem.change(**step.changes) + self._event(step.event))

    def _work(self) -> None:
        while not self._asked.empty():
            work, done = self._asked.get()
            try:
                self._line.write(work())
            finally:
                done.set()

    def _answer(self, data: bytes) -> None:
        said = self.modem.receive(data)
        if said and self.modem.radio.slow_s > 0:
            self._late.append((time.monotonic() + self.modem.radio.slow_s, said))
        elif said:
            self._line.write(said)

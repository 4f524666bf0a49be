# SPDX-License-Identifier: Apache-2.0
"""The process for one core that lies outside of this Linux: hands the firmware over, then carries output and mailbox.

It is contained as an emulated core is, and has nothing but the core's channel and the application interface: what a
hostile core sends is taken apart here. Standard output is the core's serial line; standard error is what the core's
loader says.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import select
import signal
import sys
import time
from pathlib import Path
from typing import Final, NoReturn
from uuid import UUID

from armillary.engines.real_time.within.channel import Channel, RemoteMailbox
from armillary.engines.real_time.within.interface import Interface
from armillary.engines.real_time.within.output import FAULT_EXIT_CODE, Output
from armillary.engines.real_time.within.partners import Partners
from armillary.errors import WireError
from armillary.wire.device.core_channel import PART_BYTES, SESSION_BYTES, Frame, Kind, text_of
from armillary.wire.device.core_fault import encode_fault, parse_fault

VARIABLE: Final = "ARMILLARY_UART_CORE"  # names the channel's node
# A loader that says nothing for so long is not there.
STARTED_WITHIN_S: Final = 60.0
# The loader is told so often that the device is there; it waits for STILL_LIMIT_S.
STILL_EVERY_S: Final = 2.0
# A core that sends so many frames that are none is ended: what it is to do is lost among them.
GARBLED_LIMIT: Final = 16
STOP_WITHIN_S: Final = 2.0
NO_CORE_EXIT_CODE: Final = 69  # sysexits.h, "service unavailable"


class Run:
    """One firmware on the core, from its first byte to the core's end."""

    def __init__(self, channel: Channel, partners: Partners, mailbox: RemoteMailbox, output: Output) -> None:
        self._channel = channel
        self._partners = partners
        self._mailbox = mailbox
        self._output = output
        self._started = False
        self._exit_code: int | None = None
        self._still_at = 0.0
        self._signal = 0
        self._signalled, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, number: int, _: object) -> None:
        self._signal = number

    def load(self, firmware: bytes) -> None:
        """Hand the firmware over with the next exchanges."""
        for place in range(0, len(firmware), PART_BYTES):
            self._channel.send(Kind.LOAD, firmware[place : place + PART_BYTES])
        self._channel.send(Kind.START, hashlib.sha256(firmware).digest())

    def until_end(self) -> int:
        """Carry until the core has stopped; the process's exit code.

        Raises:
            ConnectionError: the loader has gone, or never answers.
        """
        answered_by = time.monotonic() + STARTED_WITHIN_S
        while self._exit_code is None:
            if self._signal:
                self._stop()
            now = time.monotonic()
            if not self._started and now > answered_by:
                raise ConnectionAbortedError(f"no loader answers at the core's channel within {STARTED_WITHIN_S:g} s")
            if now >= self._still_at:
                self._still_at = now + STILL_EVERY_S
                self._channel.send(Kind.STILL)
            for frame in self._channel.exchange():
                self._hear(frame)
            if self._channel.garbled > GARBLED_LIMIT and self._started:
                raise ConnectionAbortedError("the core sends what is no frame of its channel")
            if self._started:
                self._partners.exchange()
            self._wait()
        self._output.flush()
        return self._exit_code

    def _stop(self) -> NoReturn:
        """Have the core held in reset, and end as a process does that does not hear the signal."""
        self._channel.send(Kind.STOP)
        ends_at = time.monotonic() + STOP_WITHIN_S
        with contextlib.suppress(OSError):
            while self._channel.unsent_bytes and time.monotonic() < ends_at:
                self._channel.exchange()
                select.select((), [self._channel.descriptor], (), STOP_WITHIN_S)
        signal.signal(self._signal, signal.SIG_DFL)
        os.kill(os.getpid(), self._signal)
        sys.exit(128 + self._signal)

    def _wait(self) -> None:
        """Until something comes, or can be written."""
        reads = [self._signalled]
        reads += [self._channel.descriptor] if self._channel.reads else []
        reads += [each.fileno() for each in self._partners.streams] if self._started else []
        writes = [self._channel.descriptor] if self._channel.unsent_bytes else []
        select.select(reads, writes, (), STILL_EVERY_S / 2)

    def _hear(self, frame: Frame) -> None:
        if frame.kind == Kind.STARTED and not self._started:
            self._started = True
            self._channel.garbled = 0
            _say(f"the core's loader: {text_of(frame.body)}")
        elif frame.kind == Kind.REFUSED:
            _say(f"the core's loader refuses: {text_of(frame.body)}")
            self._exit_code = NO_CORE_EXIT_CODE
        elif frame.kind == Kind.OUTPUT and self._started:
            self._print(frame.body)
        elif frame.kind in (Kind.SEND, Kind.TAKEN) and self._started:
            self._mailbox.hear(frame)
        elif frame.kind == Kind.ENDED and self._started:
            self._exit_code = self._ended(text_of(frame.body))

    def _print(self, data: bytes) -> None:
        for line in data.splitlines(keepends=True):
            self._output(line)

    def _ended(self, text: str) -> int:
        """The exit code for the end that the loader tells of."""
        self._output.flush()
        if not text:
            return 0
        try:
            fault = parse_fault(text)
        except WireError:
            fault = None
        if fault is None:
            _say(f"the core's loader: {text}")
            return NO_CORE_EXIT_CODE
        os.write(2, encode_fault(fault).encode() + b"\n")
        return FAULT_EXIT_CODE


def _say(line: str) -> None:
    os.write(2, line.encode() + b"\n")


def main(firmware: Path, named: list[str]) -> int:
    """Run the firmware in a file, for an application whose manifest names these partners."""
    channel = Channel(
        os.open(os.environ[VARIABLE], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK), secrets.token_bytes(SESSION_BYTES)
    )
    mailbox = RemoteMailbox(channel)
    interface = Interface(os.environ.get("ARMILLARY_APPLICATION_SOCKET"))
    run = Run(channel, Partners(interface, mailbox, map(UUID, named), time.monotonic), mailbox, Output())
    run.load(firmware.read_bytes())
    try:
        return run.until_end()
    except OSError as error:
        _say(error.strerror or str(error))
        return NO_CORE_EXIT_CODE


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))

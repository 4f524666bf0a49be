# SPDX-License-Identifier: Apache-2.0
"""Gives the equipment the guardian's time: SNTP on the equipment's side, and the alarm while the time is not known.

One reply a request, of the same size; each address has an allowance, so that a machine that floods costs little.
"""

from __future__ import annotations

import asyncio
import ctypes
import socket
import time
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import cast

from armillary.errors import PortInUseError, WireError
from armillary.wire.equipment.sntp import ClockState, parse_request, reply

PORT = 123
# Requests of one address: at once, and then a second. Clients ask four times at a start and then once in minutes.
BURST, RATE = 8, 1.0
# Addresses that are remembered: more than a guardian has equipment. The oldest are forgotten.
ADDRESS_LIMIT = 256
# struct timex of 64-bit Linux (adjtimex(2)): 208 bytes; the largest error, microseconds, is the fourth word.
_TIMEX_WORDS, _MAXERROR_WORD = 26, 3
_TIME_ERROR = 5  # what adjtimex returns while nothing has set the clock

_LIBC = ctypes.CDLL(None, use_errno=True)

ClockReader = Callable[[], ClockState]


def kernel_clock() -> ClockState:
    """Whether the kernel knows the host's clock to be synchronised, and its largest error."""
    words = (ctypes.c_long * _TIMEX_WORDS)()  # all zero: read, change nothing
    state = _LIBC.adjtimex(words)
    return ClockState(synchronised=0 <= state < _TIME_ERROR, error_us=max(0, int(words[_MAXERROR_WORD])))


class Allowances:
    """A token bucket for each address; pure but for the times that are given to it, monotonic seconds."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, address: str, now: float) -> bool:
        """Whether this address may be answered now."""
        left, before = self._left.pop(address, (float(BURST), now))
        left = min(float(BURST), left + (now - before) * RATE)
        allowed = left >= 1.0
        self._left[address] = (left - 1.0 if allowed else left, now)
        if len(self._left) > ADDRESS_LIMIT:
            del self._left[next(iter(self._left))]
        return allowed


class TimeServer(asyncio.DatagramProtocol):
    """Answers requests for the time. ``refused`` counts what was no request or beyond an allowance."""

    def __init__(self, clock: ClockReader = kernel_clock) -> None:
        self.answered = 0
        self.refused = 0
        self._clock = clock
        self._allowances = Allowances()
        self._transport: asyncio.DatagramTransport | None = None

    async def listen(self, interface: str, address: IPv4Address, port: int = PORT) -> None:
        """Serve at this address of this interface and nowhere else.

        Raises:
            PortInUseError: another time server listens there, or this process may not.
        """
        endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
            endpoint.bind((str(address), port))
        except OSError as error:
            endpoint.close()
            raise PortInUseError(
                f"the equipment's time: cannot listen on {address}:{port} ({error.strerror})",
                remedy="Isolation needs root. Let another time server leave that address (chrony: port 0).",
            ) from error
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=endpoint)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what replies are sent by."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a request; anything else is counted and gets no answer."""
        received = time.time_ns()
        try:
            request = parse_request(data)
        except WireError:
            self.refused += 1
            return
        if self._transport is None or not self._allowances.take(addr[0], time.monotonic()):
            self.refused += 1
            return
        answer = reply(request, self._clock(), received_ns=received, transmitted_ns=time.time_ns())
        self._transport.sendto(answer, addr)
        self.answered += 1

    def close(self) -> None:
        """Serve no more."""
        if self._transport is not None:
            self._transport.close()

# SPDX-License-Identifier: Apache-2.0
"""Requests to one BACnet device and the replies that belong to them, over a connected UDP socket.

One request is under way at a time. A reply belongs to it by its invoke id; whatever else comes is counted and dropped
before anything of it is decoded: late and doubled replies, requests, messages of routers. Nothing is answered.

Source: ASHRAE 135 clauses 5.4.4 (requesting side), 6.2 (NPDU), 20.1 (APDU), Annex J.2 (BVLL).
"""

from __future__ import annotations

import asyncio
from typing import Any

from bacpypes3.apdu import (
    APDU,
    APCISequence,
    ComplexAckPDU,
    ErrorPDU,
    ErrorRejectAbortNack,
)
from bacpypes3.pdu import PDU

from armillary.engines.equipment.port import LinkCounters
from armillary.wire.equipment.profile import BacnetIp

BVLL_UNICAST = b"\x81\x0a"  # BACnet/IP, Original-Unicast-NPDU; then the length of the whole, 2 bytes
NPDU_REQUEST = b"\x01\x04"  # Version 1, a reply is expected, no routing
CONFIRMED = b"\x00\x05"  # Confirmed-Request in one piece; replies in one piece of at most 1,476 bytes are taken
COMPLEX_ACK, ERROR, REJECT, ABORT = 3, 5, 6, 7  # Kinds of APDU that end a transaction with something to say
FROM_SERVER = 0x01  # Of an Abort: by the side that was asked
TRIES = 2  # UDP loses datagrams; reading twice does no harm


def reply_to(data: bytes, invoke: int) -> bytes | None:
    """The APDU of a datagram that ends the transaction ``invoke``, or None when it is something else."""
    if data[:2] != BVLL_UNICAST or len(data) < 9 or int.from_bytes(data[2:4], "big") != len(data):
        return None
    # Version 1; neither a message of the network layer nor one that was routed
    if data[4] != 1 or data[5] & 0xA8:
        return None
    apdu = data[6:]
    kind = apdu[0] >> 4
    if kind not in (COMPLEX_ACK, ERROR, REJECT, ABORT) or apdu[1] != invoke:
        return None
    if kind == ABORT and not apdu[0] & FROM_SERVER:
        return None
    return apdu


class _Mailbox(asyncio.DatagramProtocol):
    """Keeps the one reply that is waited for."""

    def __init__(self, counters: LinkCounters) -> None:
        self._counters = counters
        self._invoke = -1
        self.reply: asyncio.Future[bytes] | None = None

    def expect(self, invoke: int) -> asyncio.Future[bytes]:
        self._invoke = invoke
        self.reply = asyncio.get_running_loop().create_future()
        return self.reply

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - the kernel lets in one address
        apdu = reply_to(data, self._invoke)
        if apdu is None or self.reply is None or self.reply.done():
            self._counters.foreign += 1
        else:
            self.reply.set_result(apdu)

    def error_received(self, exc: Exception) -> None:
        """Nobody is at the port, says the equipment's host."""
        if self.reply is not None and not self.reply.done():
            self.reply.set_exception(exc)


class Transactions:
    """A socket that is connected to one device."""

    def __init__(self, transport: asyncio.DatagramTransport, mailbox: _Mailbox, timeout_s: float) -> None:
        self._transport, self._mailbox = transport, mailbox
        self._timeout_s = timeout_s
        self._invoke = 0

    @classmethod
    async def open(cls, settings: BacnetIp, counters: LinkCounters) -> Transactions:
        """Open the socket, at a port that the kernel chooses."""
        loop = asyncio.get_running_loop()
        transport, mailbox = await loop.create_datagram_endpoint(
            lambda: _Mailbox(counters), remote_addr=(settings.host, settings.port)
        )
        return cls(transport, mailbox, settings.timeout_s)

    async def ask(self, service: int, parameters: bytes) -> Any:
        """Send a confirmed request and return its acknowledgement, decoded.

        Raises:
            ErrorRejectAbortNack: the device refuses. It derives from BaseException.
            TimeoutError: no reply in the link's timeout, in which the request is sent twice.
        """
        self._invoke = (self._invoke + 1) % 256
        reply = self._mailbox.expect(self._invoke)
        body = CONFIRMED + bytes([self._invoke, service]) + parameters
        size = len(BVLL_UNICAST) + 2 + len(NPDU_REQUEST) + len(body)
        datagram = BVLL_UNICAST + size.to_bytes(2, "big") + NPDU_REQUEST + body
        for _ in range(TRIES):
            self._transport.sendto(datagram)
            done, _ = await asyncio.wait([reply], timeout=self._timeout_s / TRIES)
            if done:
                return _decoded(reply.result(), service)
        reply.cancel()
        raise TimeoutError

    def close(self) -> None:
        """Close the socket: what comes later finds nobody."""
        self._transport.close()


def _decoded(data: bytes, service: int) -> Any:
    apdu = APDU.decode(PDU(data))
    if isinstance(apdu, ComplexAckPDU | ErrorPDU) and apdu.apduService != service:
        raise ValueError(f"a reply to service {apdu.apduService}, not {service}")
    if isinstance(apdu, ComplexAckPDU) and apdu.apduSeg:
        raise ValueError("a reply in pieces, which was not asked for")
    if isinstance(apdu, ErrorRejectAbortNack):
        raise APCISequence.decode(apdu) if isinstance(apdu, ErrorPDU) else apdu
    return APCISequence.decode(apdu)

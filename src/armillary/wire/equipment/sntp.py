# SPDX-License-Identifier: Apache-2.0
"""SNTP, the server's side: one request in, one reply of the same size out (RFC 4330; RFC 5905 §7.3 has the fields).

A reply has 48 bytes, and a request that is answered at least as many: a server of this module amplifies nothing. Modes
other than 3 (client) are refused, with them the control and private modes (6, 7) that amplification attacks use.

One packet, big endian::

    leap 2 bits | version 3 bits | mode 3 bits | stratum u8 | poll i8 | precision i8
    root delay 16.16 | root dispersion 16.16 | reference id 4 bytes
    reference, originate, receive, transmit time: seconds u32 | fraction u32 each, since 1900 modulo 2**32
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from armillary.errors import WireError

_PACKET = struct.Struct(">BBbbII4s8s8s8s8s")
PACKET_BYTES = _PACKET.size
# 48, and what authentication adds (key id and digest, RFC 5905 §7.3): more is extensions, which a plain client has not.
REQUEST_LIMIT_BYTES = 72
CLIENT, SERVER = 3, 4
VERSIONS = range(1, 5)
ALARM = 3  # leap indicator: the clock is not synchronised
# Seconds from 1900 to 1970 (RFC 868).
UNIX_EPOCH = 2_208_988_800
# Behind the guardian's own servers, whose stratum the kernel does not tell; below 15, the last that clients take.
STRATUM = 5
PRECISION = -20  # 2**-20 s: what the kernel's clock and an interpreter resolve
SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class TimeRequest:
    """What of a client's request its reply depends on."""

    version: int
    poll: int  # log2 seconds, as the client says it
    transmitted: bytes  # 8 bytes, given back as the originate time


@dataclass(frozen=True, slots=True)
class ClockState:
    """How good the guardian's clock is.

    ``error_us`` is its largest error, microseconds, and counts only where it is synchronised.
    """

    synchronised: bool
    error_us: int = 0


def parse_request(data: bytes) -> TimeRequest:
    """Read a client's request.

    Raises:
        WireError: another length, version or mode.
    """
    if not PACKET_BYTES <= len(data) <= REQUEST_LIMIT_BYTES:
        raise WireError("SNTP request", expected=f"{PACKET_BYTES} to {REQUEST_LIMIT_BYTES} bytes", got=str(len(data)))
    version, mode = data[0] >> 3 & 7, data[0] & 7
    if mode != CLIENT or version not in VERSIONS:
        raise WireError(
            "SNTP request", expected=f"mode {CLIENT} of version 1 to 4", got=f"mode {mode} of version {version}"
        )
    return TimeRequest(version, struct.unpack_from(">b", data, 2)[0], data[40:48])


def reply(request: TimeRequest, clock: ClockState, *, received_ns: int, transmitted_ns: int) -> bytes:
    """The reply, 48 bytes; times are nanoseconds since 1970.

    While the clock is not synchronised it says so, with the leap alarm and stratum 0 (RFC 5905 §7.4, kiss code INIT):
    clients then do not set their clocks.
    """
    dispersion = min(clock.error_us * 65536 // 1_000_000, 0xFFFF_FFFF) if clock.synchronised else 0
    return _PACKET.pack(
        (0 if clock.synchronised else ALARM) << 6 | request.version << 3 | SERVER,
        STRATUM if clock.synchronised else 0,
        request.poll,
        PRECISION,
        0,
        dispersion,
        b"LOCL" if clock.synchronised else b"INIT",
        timestamp(received_ns) if clock.synchronised else bytes(8),
        request.transmitted,
        timestamp(received_ns),
        timestamp(transmitted_ns),
    )


def timestamp(unix_ns: int) -> bytes:
    """Eight bytes of an NTP time; the era is left out, as the format has it (2036 begins the next)."""
    seconds, nanoseconds = divmod(unix_ns, SECOND_NS)
    return struct.pack(">II", (seconds + UNIX_EPOCH) & 0xFFFF_FFFF, (nanoseconds << 32) // SECOND_NS)

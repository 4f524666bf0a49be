# SPDX-License-Identifier: Apache-2.0
"""The measured-boot log of PC firmware: TCG's crypto-agile event log, SHA-256 bank, and its replay to PCR values.

::

    TCG_PCClientPCREvent   PCR u32, type u32 = EV_NO_ACTION, 20 zero bytes, size u32, TCG_EfiSpecIDEvent
    TCG_PCR_EVENT2         PCR u32, type u32, count u32, count * (algorithm u16, digest), size u32, event; repeated

All integers are little endian. Only the *digest* of an event goes into a PCR: neither its type nor, for most types,
its data is covered by what the TPM signs. So nothing here is judged by type: :func:`verify_log` gives digests back,
and only of PCRs whose replayed value is the one a verified quote covers. Two types steer the replay, because the
firmware extends nothing for them: EV_NO_ACTION, and the start-up locality it may carry for PCR 0. A lie about either
makes the replay miss the quoted value.

Specification: TCG PC Client Platform Firmware Profile 1.06, §10.2 (structures), §10.4.5.1 (Spec ID event), §10.4.5.3
(start-up locality).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from armillary.errors import WireError

MAX_LOG_BYTES: Final = 1024 * 1024  # logs of servers with long dbx lists have 100 to 200 KiB
MAX_EVENTS: Final = 4096  # usual are 30 to 200
MAX_EVENT_BYTES: Final = 256 * 1024  # the forbidden-signatures variable is the largest, tens of KiB
MAX_ALGORITHMS: Final = 8
MAX_DIGEST_BYTES: Final = 64
PCRS: Final = 24

EV_NO_ACTION: Final = 0x0000_0003
ALG_SHA256: Final = 0x000B

_WHAT: Final = "TCG event log"
_DIGEST_BYTES: Final = 32
_SHA1_BYTES: Final = 20
_SPEC_ID: Final = b"Spec ID Event03\0"
_STARTUP_LOCALITY: Final = b"StartupLocality\0"
_LOCALITIES: Final = (0, 3, 4)  # who may start a TPM: firmware, an H-CRTM of locality 3 or 4
# PCR 17 to 22 start with all bits set until a dynamic launch (PC Client profile, table of initial PCR values).
_SET_PCRS: Final = range(17, 23)


@dataclass(frozen=True, slots=True)
class MeasuredEvent:
    """A digest that was extended into a PCR."""

    pcr: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class UnverifiedEvent:
    """One entry of a log."""

    pcr: int  # 0 to 23; any number for EV_NO_ACTION
    event_type: int  # not covered by the quote
    digest: bytes  # of the SHA-256 bank, 32 bytes
    data: bytes = field(repr=False)  # not covered by the quote


@dataclass(frozen=True, slots=True)
class UnverifiedTcgLog:
    """A parsed log that is not compared with a quote."""

    events: tuple[UnverifiedEvent, ...]  # after the Spec ID event, in order
    startup_locality: int  # 0, 3 or 4: what PCR 0 started from


class _Reader:
    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int, limit: int) -> bytes:
        start, end = self.at, self.at + size
        if size > limit or end > len(self.data):
            left = len(self.data) - start
            raise WireError(_WHAT, offset=start, expected=f"at most {min(limit, left)} bytes here", got=f"{size}")
        self.at = end
        return self.data[start:end]

    def uint(self, size: int) -> int:
        return int.from_bytes(self.take(size, size), "little")

    def fault(self, expected: str, got: str) -> WireError:
        return WireError(_WHAT, offset=self.at, expected=expected, got=got)


def parse_log(data: bytes) -> UnverifiedTcgLog:
    """Parse a crypto-agile log with a SHA-256 bank, in time and memory bounded by its size.

    Raises:
        WireError: larger than :data:`MAX_LOG_BYTES`, truncated, without SHA-256, or not of this form.
    """
    if len(data) > MAX_LOG_BYTES:
        raise WireError(
            _WHAT, offset=MAX_LOG_BYTES, expected=f"at most {MAX_LOG_BYTES} bytes", got=f"{len(data)} bytes"
        )
    reader = _Reader(data)
    sizes = _take_header(reader)
    events: list[UnverifiedEvent] = []
    locality: int | None = None
    while reader.at < len(data):
        if len(events) == MAX_EVENTS:
            raise reader.fault(f"at most {MAX_EVENTS} events", "more")
        event = _take_event(reader, sizes)
        if event.event_type == EV_NO_ACTION and event.data.startswith(_STARTUP_LOCALITY):
            if locality is not None:
                raise reader.fault("one start-up locality", "a second one")
            locality = _locality(reader, event)
        events.append(event)
    return UnverifiedTcgLog(tuple(events), locality or 0)


def replay(log: UnverifiedTcgLog) -> dict[int, bytes]:
    """The value each PCR has after the log's events: PCR number to 32 bytes, for all 24."""
    values = {pcr: (b"\xff" if pcr in _SET_PCRS else b"\0") * _DIGEST_BYTES for pcr in range(PCRS)}
    values[0] = log.startup_locality.to_bytes(_DIGEST_BYTES, "big")
    for event in log.events:
        if event.event_type != EV_NO_ACTION:
            values[event.pcr] = sha256(values[event.pcr] + event.digest).digest()
    return values


def verify_log(log: UnverifiedTcgLog, pcr_values: Mapping[int, bytes]) -> tuple[MeasuredEvent, ...]:
    """The digests that were measured into PCRs whose values (number -> 32 bytes) a verified quote covers.

    Raises WireError where the log does not replay to one of the values: then nothing in it is proven.
    """
    replayed = replay(log)
    for pcr, value in sorted(pcr_values.items()):
        if replayed.get(pcr) != value:
            got = replayed.get(pcr, b"").hex()[:16]
            raise WireError(_WHAT, expected=f"a replay of PCR {pcr} to {value.hex()[:16]}...", got=f"{got}...")
    return tuple(
        MeasuredEvent(event.pcr, event.digest)
        for event in log.events
        if event.event_type != EV_NO_ACTION and event.pcr in pcr_values
    )


def _take_header(reader: _Reader) -> dict[int, int]:
    """The Spec ID event: algorithm to size of its digests."""
    reader.uint(4)  # PCR: nothing is extended
    if reader.uint(4) != EV_NO_ACTION or reader.take(_SHA1_BYTES, _SHA1_BYTES) != bytes(_SHA1_BYTES):
        raise reader.fault("a Spec ID event first", "another event")
    size = reader.uint(4)
    start = reader.at
    if reader.take(len(_SPEC_ID), len(_SPEC_ID)) != _SPEC_ID:
        raise reader.fault("'Spec ID Event03': a crypto-agile log", "another signature")
    reader.take(8, 8)  # platform class, version of the specification, size of UINTN
    count = reader.uint(4)
    if not 1 <= count <= MAX_ALGORITHMS:
        raise reader.fault(f"1 to {MAX_ALGORITHMS} algorithms", f"{count}")
    sizes: dict[int, int] = {}
    for _ in range(count):
        algorithm, digest_bytes = reader.uint(2), reader.uint(2)
        if algorithm in sizes or not 1 <= digest_bytes <= MAX_DIGEST_BYTES:
            raise reader.fault(f"each algorithm once, digests of 1 to {MAX_DIGEST_BYTES} bytes", f"{digest_bytes}")
        sizes[algorithm] = digest_bytes
    vendor_bytes = reader.uint(1)
    reader.take(vendor_bytes, 255)
    if sizes.get(ALG_SHA256) != _DIGEST_BYTES:
        raise reader.fault("a SHA-256 bank", "none")
    if reader.at != start + size:
        raise reader.fault(f"a Spec ID event of {size} bytes", f"{reader.at - start}")
    return sizes


def _take_event(reader: _Reader, sizes: Mapping[int, int]) -> UnverifiedEvent:
    pcr, event_type, count = reader.uint(4), reader.uint(4), reader.uint(4)
    if pcr >= PCRS and event_type != EV_NO_ACTION:
        raise reader.fault(f"PCR 0 to {PCRS - 1}", f"{pcr}")
    if count != len(sizes):
        raise reader.fault(f"{len(sizes)} digests", f"{count}")
    digests: dict[int, bytes] = {}
    for _ in range(count):
        algorithm = reader.uint(2)
        if algorithm not in sizes or algorithm in digests:
            raise reader.fault("each algorithm of the header once", f"{algorithm:#06x}")
        digests[algorithm] = reader.take(sizes[algorithm], MAX_DIGEST_BYTES)
    size = reader.uint(4)
    return UnverifiedEvent(pcr, event_type, digests[ALG_SHA256], reader.take(size, MAX_EVENT_BYTES))


def _locality(reader: _Reader, event: UnverifiedEvent) -> int:
    value = event.data[len(_STARTUP_LOCALITY) :]
    if len(value) != 1 or value[0] not in _LOCALITIES:
        raise reader.fault(f"a start-up locality of {_LOCALITIES}", value[:8].hex() or "no byte")
    return value[0]

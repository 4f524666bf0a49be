# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import struct
import time
import tracemalloc
from hashlib import sha256

import pytest
from tests.wire.tpm_samples import tcg_event, tcg_header

from armillary.errors import WireError
from armillary.wire.attestation import tcg_event_log as tcg

A, B = sha256(b"a").digest(), sha256(b"b").digest()
LOCALITY = tcg_event(0, tcg.EV_NO_ACTION, bytes(32), b"StartupLocality\0\x03")
LOG = tcg_header() + tcg_event(0, 1, A) + tcg_event(7, 2, B) + tcg_event(0, 8, B)


def extended(value: bytes, *digests: bytes) -> bytes:
    for digest in digests:
        value = sha256(value + digest).digest()
    return value


def test_a_log_replays_to_the_pcrs():
    values = tcg.replay(tcg.parse_log(LOG))
    assert values[0] == extended(bytes(32), A, B)
    assert values[7] == extended(bytes(32), B)
    assert values[1] == bytes(32)
    assert values[17] == b"\xff" * 32
    assert sorted(values) == list(range(24))


def test_what_is_not_extended_does_not_count_but_for_the_locality():
    log = tcg_header() + LOCALITY + tcg_event(0, 1, A) + tcg_event(0xFFFFFFFF, tcg.EV_NO_ACTION, bytes(32), b"x")
    assert tcg.replay(tcg.parse_log(log))[0] == extended(bytes(31) + b"\x03", A)


def test_only_measured_digests_of_quoted_pcrs_are_given_back():
    log = tcg.parse_log(LOG)
    values = {0: extended(bytes(32), A, B)}
    assert tcg.verify_log(log, values) == (tcg.MeasuredEvent(0, A), tcg.MeasuredEvent(0, B))


@pytest.mark.parametrize(
    "changed",
    [
        tcg_header() + tcg_event(0, 1, B) + tcg_event(0, 8, A),
        tcg_header() + tcg_event(0, 1, A),
        tcg_header() + tcg_event(0, 1, A) + tcg_event(0, tcg.EV_NO_ACTION, B),
        tcg_header() + LOCALITY + tcg_event(0, 1, A) + tcg_event(0, 8, B),
        tcg_header() + tcg_event(0, 1, A) + tcg_event(0, 8, B) + tcg_event(0, 8, B),
    ],
    ids=["reordered", "dropped", "relabelled as not extended", "made-up locality", "appended"],
)
def test_a_log_that_does_not_replay_is_worth_nothing(changed: bytes):
    values = {0: extended(bytes(32), A, B)}
    tcg.verify_log(tcg.parse_log(LOG), values)  # positive control
    with pytest.raises(WireError, match="replay of PCR 0"):
        tcg.verify_log(tcg.parse_log(changed), values)


def test_the_type_of_an_event_is_not_measured_so_it_is_not_given_back():
    one, other = (tcg.parse_log(tcg_header() + tcg_event(0, kind, A)) for kind in (1, 0x80000001))
    values = {0: extended(bytes(32), A)}
    assert tcg.verify_log(one, values) == tcg.verify_log(other, values)


def test_an_unknown_pcr_number_in_the_quote_is_refused():
    with pytest.raises(WireError, match="PCR 24"):
        tcg.verify_log(tcg.parse_log(LOG), {24: bytes(32)})


HOSTILE = {
    "nothing": (b"", "at most 0"),
    "ten MiB": (LOG + bytes(10 * 1024 * 1024), "at most 1048576"),
    "a legacy SHA-1 log": (struct.pack("<II", 0, 8) + bytes(20) + struct.pack("<I", 0), "Spec ID"),
    "another signature": (LOG.replace(b"Event03", b"Event02"), "crypto-agile"),
    "no SHA-256": (tcg_header(((4, 20),)), "SHA-256 bank"),
    "SHA-256 of 20 bytes": (tcg_header(((11, 20),)), "SHA-256 bank"),
    "one algorithm twice": (tcg_header(((11, 32), (11, 32))), "each algorithm once"),
    "no algorithms": (tcg_header(()), "1 to 8"),
    "four billion algorithms": (LOG[:56] + b"\xff" * 4 + LOG[60:], "1 to 8"),
    "header size too large": (LOG[:28] + b"\xff\xff\xff\xff" + LOG[32:], "Spec ID event of"),
    "event size too large": (tcg_header() + tcg_event(0, 1, A)[:-8] + b"\xff\xff\xff\xff", "bytes here"),
    "digest count": (tcg_header() + struct.pack("<III", 0, 1, 0xFFFFFFFF), "2 digests"),
    "digests of one bank twice": (tcg_header() + tcg_event(0, 1, A, banks=(11, 11)), "once"),
    "unknown bank": (tcg_header() + tcg_event(0, 1, A, banks=(4, 12)), "0x000c"),
    "PCR 24": (tcg_header() + tcg_event(24, 1, A), "PCR 0 to 23"),
    "two localities": (tcg_header() + LOCALITY + LOCALITY, "second"),
    "locality 9": (tcg_header() + LOCALITY[:-1] + b"\x09", "locality"),
    "an event past the most": (tcg_header() + tcg_event(0, 1, A, b"") * 4097, "at most 4096"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_logs_are_refused_for_what_they_are(name: str):
    data, named = HOSTILE[name]
    with pytest.raises(WireError, match=named) as caught:
        tcg.parse_log(data)
    assert caught.value.offset is not None
    assert caught.value.offset <= len(data)


def test_every_truncation_within_an_event_is_refused():
    ends = {len(tcg_header()), len(tcg_header()) + len(tcg_event(0, 1, A)), len(LOG) - len(tcg_event(0, 8, B))}
    for size in range(len(LOG)):
        if size not in ends:
            with pytest.raises(WireError) as caught:
                tcg.parse_log(LOG[:size])
            assert caught.value.offset is not None
            assert caught.value.offset <= size


def test_the_largest_log_is_read_in_bounded_time_and_memory():
    log = tcg_header() + tcg_event(0, 1, A, b"") * 4096
    tracemalloc.start()
    started = time.process_time()
    values = tcg.replay(tcg.parse_log(log))
    seconds = time.process_time() - started
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert values[0] == extended(bytes(32), *[A] * 4096)
    assert peak < 4 * 1024 * 1024
    assert seconds < 2

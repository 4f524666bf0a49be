# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import pytest

from armillary.attest.judgement import MAX_LOGS, AppraisalMemory, judge_log, verified_endorsement
from armillary.attest.reference import ReferenceValues
from armillary.errors import SignatureError, WireError
from armillary.sim.device.prover import Prover, release
from armillary.wire.attestation.event_log import encode_log, log_head

GOOD = release(1)
REFERENCE = ReferenceValues([c.reference("mt3620", "26.11") for c in GOOD])


def judge(components: tuple, reference: ReferenceValues = REFERENCE, memory: AppraisalMemory | None = None):
    events = [component.event for component in components]
    return judge_log(encode_log(events), log_head(events), "mt3620", reference, memory)


def test_known_good_log():
    judgement = judge(GOOD)
    assert (dict(judgement.faults), judgement.releases, len(judgement.events)) == ({}, ("26.11",), 4)


def test_log_that_does_not_replay_yields_no_events():
    events = [component.event for component in GOOD]
    judgement = judge_log(encode_log(events), bytes(32), "mt3620", REFERENCE)
    assert (set(judgement.faults), judgement.events, dict(judgement.security_versions)) == ({11}, (), {})


def test_fault_text_fits_a_step():
    strange = tuple(dataclasses.replace(c, name="\u00fc" * 32, content=b"x") for c in release(3, components=60))
    assert len(judge(strange).faults[13].encode()) <= 1024


def test_lowest_version_of_an_image_type_counts():
    two = (GOOD[0], dataclasses.replace(GOOD[1], image_type=1, security_version=5))
    reference = ReferenceValues([c.reference("mt3620", "26.11") for c in two])
    assert dict(judge(two, reference).security_versions) == {1: 1}


def test_logs_are_bounded_and_forgotten_with_the_references():
    memory = AppraisalMemory()
    judge(GOOD, memory=memory)
    memory.logs.update({("chip", b"", bytes([n % 256, n // 256])): judge(GOOD) for n in range(MAX_LOGS - 1)})
    judge(release(2), memory=memory)
    assert len(memory.logs) == MAX_LOGS
    judge(GOOD, ReferenceValues([]), memory)
    assert len(memory.logs) == 1


def test_endorsement_must_be_signed_and_well_formed():
    device = Prover(uds=b"u" * 32, components=GOOD)
    claims, digest = verified_endorsement(device.endorsement, bytes.fromhex(device.device_id))
    assert (claims.boot_count, len(digest)) == (1, 32)
    other = Prover(uds=b"v" * 32, components=GOOD)
    with pytest.raises(SignatureError):
        verified_endorsement(device.endorsement, bytes.fromhex(other.device_id))
    with pytest.raises(WireError):
        verified_endorsement(b"", bytes.fromhex(other.device_id))

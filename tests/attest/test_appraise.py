# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest

from armillary.attest import challenge as ch
from armillary.attest.appraise import Enrolment, appraise
from armillary.attest.judgement import MAX_ENDORSEMENTS, AppraisalMemory, judge_log, verified_endorsement
from armillary.attest.policy import AttestationPolicy, PolicyInForce
from armillary.attest.reference import ReferenceValues, ReleaseStanding
from armillary.attest.steps import STEPS
from armillary.errors import AppraisalError, ChallengeError, SignatureError, WireError
from armillary.identity import dice
from armillary.sim.device.prover import Prover, release
from armillary.wire.attestation.evidence import Endorsement, encode_endorsement
from armillary.wire.device.checkin import InstalledImage, encode_request, parse_request
from armillary.wire.encoding import cose

NOW = 1_790_000_000
KEY = b"k" * 32
CLIENT_KEY = cose.spki_from_point(cose.point_of(dice.alias_key(b"c" * 32).public_key()))
GOOD = release(1)


def references(*more: Any, minimum: Any = None):
    values = [component.reference("mt3620", "26.11") for component in GOOD]
    return ReferenceValues([*values, *more], minimum)


def challenge(peer_key: bytes, **changes: Any):
    values = {"now": NOW, "random": b"r" * 16, "peer_key": peer_key} | changes
    return ch.mint(KEY, **values)


def judge(prover: Prover, request: Any = None, **changes: Any):
    request = request or prover.request(challenge(prover.peer_key), CLIENT_KEY)
    values = {
        "enrolment": prover.enrolment(),
        "reference": references(),
        "peer_key": prover.peer_key,
        "challenge_key": KEY,
        "now": NOW + 5,
        "service_name": "localhost",
    } | changes
    return appraise(request, **values)


def prover(**changes: Any):
    return Prover(**({"uds": b"u" * 32, "components": GOOD} | changes))


def failing(appraisal: Any):
    return {step.number for step in appraisal.steps if step.result == "fail"}


def test_good_boot_is_attested():
    device = prover()
    appraisal = judge(device)
    assert appraisal.verdict == "attested"
    assert [(s.number, s.name, s.prevents) for s in appraisal.steps] == list(STEPS)
    assert {s.result for s in appraisal.steps if s.name not in ("tpm quote", "firmware log")} == {"pass"}
    assert (appraisal.steps[15].result, appraisal.steps[15].detail) == (
        "not-run",
        "Enrolled without a TPM: nothing is quoted.",
    )
    assert appraisal.evidence.certificate_key == CLIENT_KEY
    assert appraisal.evidence.device_id == device.device_id
    assert [e.component for e in appraisal.events] == ["Stage1", "Stage2", "Stage3", "Stage4"]
    assert appraisal.challenge_id == ch.ChallengeId(b"r" * 16, NOW + 60)
    assert appraisal.endorsement_digest == sha256(device.endorsement).digest()
    assert appraisal.security_versions == {1: 1, 2: 1, 3: 1, 4: 1}
    assert appraisal.trust_tier == "software"


def test_steps_are_numbered_from_one_and_explained():
    assert [number for number, _, _ in STEPS] == list(range(1, len(STEPS) + 1))
    assert len({name for _, name, _ in STEPS}) == len(STEPS)
    assert all(prevents.endswith(".") and len(prevents) > 30 for _, _, prevents in STEPS)


def test_step_1_connection_of_another_device():
    device, other = prover(), prover(uds=b"v" * 32)
    request = device.request(challenge(other.peer_key), CLIENT_KEY)
    with pytest.raises(AppraisalError, match="step 1") as caught:
        judge(device, request, peer_key=other.peer_key)
    assert caught.value.step == 1


@pytest.mark.parametrize("now", [NOW + 60, NOW + 10_000])
def test_step_2_stale_challenge(now: int):
    with pytest.raises(ChallengeError, match="before"):
        judge(prover(), now=now)


def test_step_2_foreign_challenge():
    device = prover()
    request = device.request(ch.mint(b"x" * 32, now=NOW, random=b"r" * 16, peer_key=device.peer_key), CLIENT_KEY)
    with pytest.raises(ChallengeError, match="this service"):
        judge(device, request)


def test_step_3_endorsement_by_another_key():
    device = prover()
    claims = Endorsement(
        device_id=device.device_id,
        alias_key=cose.point_of(device.alias.public_key()),
        log_head=device.log_head,
        boot_count=1,
    )
    device.endorsement = encode_endorsement(claims, device.alias)
    with pytest.raises(SignatureError, match="endorsement"):
        judge(device)


def test_step_4_evidence_by_another_key():
    device = prover()
    device.alias = dice.alias_key(b"z" * 32)
    with pytest.raises(SignatureError, match="evidence"):
        judge(device)


def test_step_5_another_device_in_the_evidence():
    device = prover()
    own_id = device.device_id
    device.device_id = prover(uds=b"v" * 32).device_id
    request = device.request(challenge(prover().peer_key), CLIENT_KEY)
    with pytest.raises(AppraisalError, match="step 5") as caught:
        judge(prover(), request)
    assert caught.value.step == 5
    assert own_id[:16] in caught.value.message


def test_step_6_another_service():
    with pytest.raises(AppraisalError, match="step 6"):
        judge(prover(service_name="other.example"))


def test_step_7_edited_report():
    device = prover()
    request = device.request(challenge(device.peer_key), CLIENT_KEY)
    image = InstalledImage(component_id=UUID(int=1), image_id=UUID(int=2), image_type=10, name="x", state="running")
    edited = dataclasses.replace(request, installed=(image,))
    for way in (edited, parse_request(encode_request(edited))):
        with pytest.raises(AppraisalError, match="step 7"):
            judge(device, way)
    assert judge(device, parse_request(encode_request(request))).verdict == "attested"


@pytest.mark.parametrize("which", ["identity", "alias", "no point", "beyond the field"])
def test_step_8_unfit_client_key(which: str):
    device = prover()
    point = {
        "identity": bytes.fromhex(device.device_id),
        "alias": cose.point_of(device.alias.public_key()),
        "no point": b"\x01" * 64,
        "beyond the field": b"\xff" * 64,
    }[which]
    request = device.request(challenge(device.peer_key), cose.spki_from_point(point))
    with pytest.raises(AppraisalError, match="step 8"):
        judge(device, request)


def test_step_9_evidence_of_another_boot():
    device = prover()
    device.boot_count += 1  # evidence says 2, the endorsement says 1
    appraisal = judge(device)
    assert (appraisal.verdict, failing(appraisal)) == ("update-only", {9})
    device = prover()
    device.log_head = b"h" * 32
    assert failing(judge(device)) == {9}


def test_step_10_boot_counter_went_back():
    device = prover()
    enrolment = dataclasses.replace(device.enrolment(), last_boot_count=2)
    appraisal = judge(device, enrolment=enrolment)
    assert (appraisal.verdict, failing(appraisal)) == ("update-only", {10})


def test_step_10_two_machines_one_identity():
    original, copy = prover(), prover()
    assert original.endorsement != copy.endorsement  # ECDSA signatures are random
    first = judge(original)
    enrolment = dataclasses.replace(original.enrolment(), last_boot_count=1, last_endorsement=first.endorsement_digest)
    assert judge(original, enrolment=enrolment).verdict == "attested"
    appraisal = judge(copy, enrolment=enrolment)
    assert (appraisal.verdict, failing(appraisal)) == ("update-only", {10})
    original.boot()
    assert judge(original, enrolment=enrolment).verdict == "attested"


def test_step_11_log_that_does_not_replay():
    device = prover()
    device.event_log = prover(components=release(2)).event_log
    appraisal = judge(device)
    assert (appraisal.verdict, failing(appraisal)) == ("update-only", {11})
    assert [s.result for s in appraisal.steps[10:17]] == ["fail", "pass", *["not-run"] * 4, "pass"]
    assert (appraisal.events, appraisal.security_versions) == ((), {})


def test_step_12_other_chip():
    appraisal = judge(prover(chip="imx8mp"), enrolment=prover().enrolment())
    assert 12 in failing(appraisal)


@pytest.mark.parametrize(
    ("tier", "root", "verdict"),
    [
        ("simulated", "simulated", "attested"),
        ("simulated", "tpm2", "attested"),
        ("software", "software", "attested"),
        ("software", "simulated", "update-only"),
        ("tpm", "software", "update-only"),
        ("tpm", "tpm2", "attested"),
        ("silicon", "software", "update-only"),
    ],
)
def test_step_12_weaker_root_of_trust(tier: str, root: str, verdict: str):
    device = prover(root_of_trust=root)
    appraisal = judge(device, enrolment=device.enrolment(trust_tier=tier))
    assert (12 in failing(appraisal)) is (verdict == "update-only")
    assert failing(appraisal) - {12} == ({16} if tier in ("tpm", "silicon") else set())  # these have no TPM to quote


def test_step_13_unknown_component():
    changed = (*GOOD[:2], dataclasses.replace(GOOD[2], content=b"evil"), GOOD[3])
    appraisal = judge(prover(components=changed))
    assert (appraisal.verdict, failing(appraisal)) == ("update-only", {13})
    assert "Stage3" in appraisal.steps[12].detail
    assert appraisal.steps[13].result == "not-run"


def test_step_13_known_digest_with_another_version():
    raised = (*GOOD[:3], dataclasses.replace(GOOD[3], security_version=9))
    assert failing(judge(prover(components=raised))) == {13}


@pytest.mark.parametrize("components", [GOOD[:3], (*GOOD, GOOD[0])])
def test_step_14_missing_or_doubled_component(components: Any):
    appraisal = judge(prover(components=components))
    assert (appraisal.verdict, failing(appraisal)) == ("update-only", {14})


def test_step_14_components_of_two_releases():
    second = release(2)
    reference = references(*(c.reference("mt3620", "26.12") for c in second))
    assert judge(prover(components=second, os_version="26.12"), reference=reference).verdict == "attested"
    mixed = prover(components=(*second[:2], *GOOD[2:]))
    assert failing(judge(mixed, reference=reference)) == {14}


def test_step_14_release_that_keeps_components():
    second = (*release(2)[:1], *GOOD[1:])
    reference = references(*(c.reference("mt3620", "26.12") for c in second))
    assert judge(prover(components=second, os_version="26.12"), reference=reference).verdict == "attested"
    assert judge(prover(), reference=reference).verdict == "attested"


def test_step_14_device_names_another_release():
    assert failing(judge(prover(os_version="27.01"))) == {14}


def test_step_15_below_the_service_minimum():
    appraisal = judge(prover(), reference=references(minimum={("mt3620", 3): 2}))
    assert (appraisal.verdict, failing(appraisal)) == ("update-only", {15})
    assert judge(prover(), reference=references(minimum={("imx8mp", 3): 2})).verdict == "attested"


def test_step_15_below_what_this_device_had():
    device = prover()
    enrolment = dataclasses.replace(device.enrolment(), minimum_security_versions={2: 2})
    assert failing(judge(device, enrolment=enrolment)) == {15}


def standing(**changes: Any):
    values = [component.reference("mt3620", "26.11") for component in GOOD]
    known = {"chip": "mt3620", "os_version": "26.11", "published_at": NOW} | changes
    return ReferenceValues(values, standings=[ReleaseStanding(**known)])


def test_step_18_withdrawn_release():
    assert judge(prover(), reference=standing()).verdict == "attested"
    appraisal = judge(prover(), reference=standing(withdrawn="It hangs."))
    assert (appraisal.verdict, failing(appraisal)) == ("update-only", {18})
    assert appraisal.steps[17].detail == "Release 26.11 was withdrawn: It hangs."


def test_step_18_expired_release_also_where_the_log_is_remembered():
    memory, reference, device = AppraisalMemory(), standing(expires_at=NOW + 5), prover()
    assert judge(device, reference=reference, memory=memory, now=NOW + 4).verdict == "attested"
    appraisal = judge(device, reference=reference, memory=memory, now=NOW + 5)
    assert (appraisal.verdict, failing(appraisal)) == ("update-only", {18})
    assert appraisal.steps[17].detail == "The release was good until 2026-09-21 14:13 UTC; that is over."


def test_step_19_what_the_catalog_demands():
    policy = PolicyInForce(AttestationPolicy(minimum_tier="tpm"))
    appraisal = judge(prover(), policy=policy)
    assert (appraisal.verdict, failing(appraisal)) == ("update-only", {19})
    assert judge(prover(), policy=PolicyInForce(AttestationPolicy(minimum_tier="software"))).verdict == "attested"


def test_step_19_what_a_catalog_demands_to_contain_applications():
    def said(*names: str) -> Any:
        return judge(prover(), policy=PolicyInForce(AttestationPolicy(mechanisms=names)))

    assert said("seccomp").verdict == "attested"
    appraisal = said("landlock", "memory-limit", "seccomp")
    assert (appraisal.verdict, failing(appraisal)) == ("update-only", {19})
    assert appraisal.steps[18].detail == (
        "This catalog demands mechanisms that do not hold on this device: landlock (kernel 5.10), memory-limit (its "
        "self-test knows none)."
    )
    beside = judge(prover(), policy=PolicyInForce(AttestationPolicy(minimum_tier="tpm", mechanisms=("landlock",))))
    assert "demands tier tpm" in beside.steps[18].detail
    assert "landlock (kernel 5.10)" in beside.steps[18].detail


def test_steps_18_and_19_wait_for_a_known_release():
    changed = (*GOOD[:2], dataclasses.replace(GOOD[2], content=b"evil"), GOOD[3])
    policy = PolicyInForce(AttestationPolicy(maximum_release_age_days=1))
    appraisal = judge(prover(components=changed), policy=policy, reference=standing())
    assert failing(appraisal) == {13}
    assert [(s.result, s.detail) for s in appraisal.steps[17:19]] == [("not-run", "Needs step 13 to pass.")] * 2


def test_malformed_log_is_refused():
    device = prover()
    device.event_log = b"\x80"
    with pytest.raises(WireError, match="event log"):
        judge(device)


def test_memory_changes_no_verdict_and_forgets_with_the_references():
    memory = AppraisalMemory()
    device = prover()
    reference = references()
    assert judge(device, reference=reference, memory=memory) == judge(device, reference=reference, memory=memory)
    assert (len(memory.endorsements), len(memory.logs)) == (1, 1)
    appraisal = judge(device, reference=ReferenceValues([]), memory=memory)
    assert failing(appraisal) == {13}
    assert "endorsements" in repr(memory)


def test_memory_does_not_take_a_known_endorsement_for_another_device():
    memory = AppraisalMemory()
    device, other = prover(), prover(uds=b"v" * 32)
    judge(device, memory=memory)
    with pytest.raises(SignatureError):
        verified_endorsement(device.endorsement, bytes.fromhex(other.device_id), memory)


def test_memory_does_not_take_a_known_log_for_another_head():
    memory = AppraisalMemory()
    device, reference = prover(), references()
    judge(device, reference=reference, memory=memory)
    judged = judge_log(device.event_log, b"h" * 32, "mt3620", reference, memory)
    assert set(judged.faults) == {11}
    assert len(memory.logs) == 1


def test_memory_is_bounded():
    memory = AppraisalMemory()
    device = prover()
    memory.endorsements = dict.fromkeys(((b"", bytes([i % 256, i // 256])) for i in range(MAX_ENDORSEMENTS)), None)
    judge(device, memory=memory)
    assert len(memory.endorsements) == MAX_ENDORSEMENTS
    assert (bytes.fromhex(device.device_id), device.endorsement) in memory.endorsements


def test_enrolment_starts_at_zero():
    enrolment = Enrolment(device_id="a", identity_key=b"", chip="c", trust_tier="software")
    assert (enrolment.last_boot_count, enrolment.last_endorsement, dict(enrolment.minimum_security_versions)) == (
        0,
        b"",
        {},
    )

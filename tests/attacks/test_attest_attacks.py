# SPDX-License-Identifier: Apache-2.0
"""Attacks on the proof of a check-in, each beside a positive control that shows the defence lets the honest case in."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable
from uuid import UUID

import pytest

from armillary.attest import challenge as ch
from armillary.attest.appraise import Appraisal, appraise
from armillary.attest.judgement import AppraisalMemory
from armillary.attest.reference import ReferenceValues
from armillary.errors import (
    AppraisalError,
    ArmillaryError,
    ChallengeError,
    ReplayedProofError,
    SignatureError,
    WireError,
)
from armillary.identity import dice
from armillary.identity.issue import terms_for
from armillary.service.verifier.device_states import SpentChallenges
from armillary.service.verifier.peers import peer_of
from armillary.sim.device.prover import Component, Prover, release
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.attestation import evidence
from armillary.wire.attestation.event_log import BootEvent, encode_log, parse_log
from armillary.wire.device import checkin
from armillary.wire.device.challenge import parse_challenge
from armillary.wire.encoding import cbor, cose

NOW = 1_790_000_000
KEY = b"k" * 32
GOOD = release(1, security_version=2)
REFERENCE = ReferenceValues([component.reference("mt3620", "26.11") for component in GOOD])
CLIENT_KEY = cose.spki_from_point(cose.point_of(dice.alias_key(b"client key".ljust(32)).public_key()))
MEBIBYTE = 1024 * 1024


class Service:
    """The caller's part of a check-in without spending challenges: one memory, shared by all connections."""

    def __init__(self, *devices: Prover, reference: ReferenceValues = REFERENCE) -> None:
        self.enrolments = {device.device_id: device.enrolment() for device in devices}
        self.reference = reference
        self.memory = AppraisalMemory()
        self.minted = 0

    def challenge(self, peer: Prover) -> bytes:
        self.minted += 1
        return ch.mint(KEY, now=NOW, random=self.minted.to_bytes(16, "big"), peer_key=peer.peer_key)

    def check_in(self, data: bytes, *, peer: Prover, now: int = NOW + 1) -> Appraisal:
        enrolment = self.enrolments[peer.device_id]
        appraisal = appraise(
            checkin.parse_request(data),
            enrolment=enrolment,
            reference=self.reference,
            peer_key=peer.peer_key,
            challenge_key=KEY,
            now=now,
            service_name="localhost",
            memory=self.memory,
        )
        if appraisal.verdict == "attested":
            self.enrolments[peer.device_id] = dataclasses.replace(
                enrolment,
                last_boot_count=appraisal.evidence.boot_count,
                last_endorsement=appraisal.endorsement_digest,
                minimum_security_versions={
                    image_type: max(version, enrolment.minimum_security_versions.get(image_type, 0))
                    for image_type, version in appraisal.security_versions.items()
                },
            )
        return appraisal

    def prove(self, device: Prover) -> bytes:
        return checkin.encode_request(device.request(self.challenge(device), CLIENT_KEY))


def device(secret: bytes = b"victim", components: tuple[Component, ...] = GOOD, boot_count: int = 0) -> Prover:
    return Prover(uds=secret.ljust(32), components=components, boot_count=boot_count)


def failing(appraisal: Appraisal) -> set[int]:
    return {step.number for step in appraisal.steps if step.result == "fail"}


def test_replay_is_refused(host: ServiceHost):
    """By the service's own verifier; with what it remembers as spent taken away, the same bytes are judged again."""
    verifier, now = host.service.serving.server.verifier, host.service.context.now()
    assert verifier is not None
    victim = host.claimed(b"victim".ljust(32))
    peer = peer_of(victim.factory.certificate_chain[0])
    challenge = parse_challenge(verifier.challenge(peer, now=now)).challenge
    proof = checkin.encode_request(victim.prover.request(challenge, CLIENT_KEY))
    accepted = verifier.check_in(peer, proof, now=now)
    verifier.begin(accepted)
    verifier.recorded(accepted)
    assert accepted.write.verdict == "attested"
    with pytest.raises(ReplayedProofError, match="used before"):
        verifier.check_in(peer, proof, now=now)
    accepted.state.spent = SpentChallenges({})
    assert verifier.check_in(peer, proof, now=now).write.challenge_id == accepted.write.challenge_id


def test_replay_after_the_challenge_expired_is_refused_by_time():
    victim = device()
    service = Service(victim)
    proof = service.prove(victim)
    expires_at = service.check_in(proof, peer=victim).challenge_id.expires_at
    assert service.check_in(proof, peer=victim, now=expires_at - 1).verdict == "attested"
    with pytest.raises(ChallengeError, match="before"):
        service.check_in(proof, peer=victim, now=expires_at)


def test_relay_through_another_devices_connection_is_refused():
    victim, thief = device(), device(b"thief")
    service = Service(victim, thief)
    stolen = service.prove(victim)
    with pytest.raises(ChallengeError, match="this connection"):
        service.check_in(stolen, peer=thief)
    # the thief passes its own challenge on to the victim, who answers it
    relayed = checkin.encode_request(victim.request(service.challenge(thief), CLIENT_KEY))
    with pytest.raises(SignatureError, match="endorsement"):
        service.check_in(relayed, peer=thief)
    assert service.check_in(stolen, peer=victim).verdict == "attested"


def test_relay_with_the_thiefs_own_endorsement_is_refused():
    victim, thief = device(), device(b"thief")
    service = Service(victim, thief)
    relayed = victim.request(service.challenge(thief), CLIENT_KEY)
    mixed = dataclasses.replace(relayed, endorsement=thief.endorsement, event_log=thief.event_log)
    with pytest.raises(ArmillaryError) as caught:
        service.check_in(checkin.encode_request(mixed), peer=thief)
    assert isinstance(caught.value, SignatureError | AppraisalError)


def test_thief_endorses_the_victims_alias_key():
    """The thief signs with its own identity that the victim's alias key is its own; the device id gives it away."""
    victim, thief = device(), device(b"thief")
    service = Service(victim, thief)
    relayed = victim.request(service.challenge(thief), CLIENT_KEY)
    claims = evidence.Endorsement(
        device_id=thief.device_id,
        alias_key=cose.point_of(victim.alias.public_key()),
        log_head=victim.log_head,
        boot_count=victim.boot_count,
    )
    forged = dataclasses.replace(relayed, endorsement=evidence.encode_endorsement(claims, thief.identity))
    with pytest.raises(AppraisalError, match="step 5"):
        service.check_in(checkin.encode_request(forged), peer=thief)


def edit_claims(data: bytes, change: dict, key: object = None) -> bytes:
    """Evidence with other claims: signed by ``key``, or under the old signature."""
    parsed = cose.parse_sign1(data)
    claims = cbor.decode(parsed.payload, what="evidence", limit=4096) | change
    if key is not None:
        return cose.encode_sign1(cbor.encode(claims), key)  # type: ignore[arg-type]
    return b"\xd2" + cbor.encode([parsed.protected, {}, cbor.encode(claims), parsed.signature])


ATTACKERS_KEY = dice.alias_key(b"attacker".ljust(32))
ATTACKERS_CNF = {
    1: {
        1: 2,
        -1: 1,
        -2: cose.point_of(ATTACKERS_KEY.public_key())[:32],
        -3: cose.point_of(ATTACKERS_KEY.public_key())[32:],
    }
}


@pytest.mark.parametrize(
    "change",
    [
        {8: ATTACKERS_CNF},
        {267: 99},
        {271: ["27.01"]},
        {259: b"imx8mp"},
        {-70002: bytes(32)},
        {-70003: "tpm2"},
        {-70004: []},
        {-70005: "linux-strict"},
        {-70006: bytes(32)},
    ],
    ids=str,
)
def test_swapped_claims_are_refused(change: dict):
    victim = device()
    service = Service(victim)
    request = victim.request(service.challenge(victim), CLIENT_KEY)
    for key in (None, ATTACKERS_KEY):
        forged = dataclasses.replace(request, evidence=edit_claims(request.evidence, change, key))
        with pytest.raises(SignatureError, match="evidence"):
            service.check_in(checkin.encode_request(forged), peer=victim)
    assert service.check_in(checkin.encode_request(request), peer=victim).evidence.certificate_key == CLIENT_KEY


def test_made_up_alias_key_is_refused():
    victim = device()
    service = Service(victim)
    request = victim.request(service.challenge(victim), CLIENT_KEY)
    claims = evidence.parse_endorsement(victim.endorsement).claims
    own = claims._replace(alias_key=cose.point_of(ATTACKERS_KEY.public_key()))
    forged = dataclasses.replace(
        request,
        evidence=edit_claims(request.evidence, {}, ATTACKERS_KEY),
        endorsement=evidence.encode_endorsement(own, ATTACKERS_KEY),
    )
    with pytest.raises(SignatureError, match="endorsement"):
        service.check_in(checkin.encode_request(forged), peer=victim)


def other(event: BootEvent) -> BootEvent:
    return dataclasses.replace(event, digest=b"e" * 32)


@pytest.mark.parametrize(
    "forge",
    [
        lambda events: events[1:],
        lambda events: events[:-1],
        lambda events: (events[1], events[0], *events[2:]),
        lambda events: tuple(reversed(events)),
        lambda events: (*events, other(events[0])),
        lambda events: (*events, events[0]),
        lambda events: (other(events[0]), *events[1:]),
        lambda events: (dataclasses.replace(events[0], security_version=99), *events[1:]),
        lambda events: (dataclasses.replace(events[0], component="Other"), *events[1:]),
        lambda events: (dataclasses.replace(events[0], image_id=UUID(int=9)), *events[1:]),
    ],
    ids=["drop first", "drop last", "swap", "reverse", "append", "append again", "digest", "version", "name", "image"],
)
@pytest.mark.parametrize("known", [False, True], ids=["first seen", "genuine log remembered"])
def test_forged_event_log_is_not_judged(forge: Callable[[tuple], tuple], known: bool):
    victim = device()
    service = Service(victim)
    if known:
        assert service.check_in(service.prove(victim), peer=victim).verdict == "attested"
    genuine = parse_log(victim.event_log).events
    request = victim.request(service.challenge(victim), CLIENT_KEY)
    forged = dataclasses.replace(request, event_log=encode_log(forge(genuine)))
    appraisal = service.check_in(checkin.encode_request(forged), peer=victim)
    assert (appraisal.verdict, failing(appraisal)) == ("update-only", {11})
    assert appraisal.events == ()
    assert [step.result for step in appraisal.steps[12:16]] == ["not-run"] * 4
    assert service.check_in(service.prove(victim), peer=victim).verdict == "attested"


def test_clean_log_cannot_hide_a_tampered_boot():
    """Tampered software shows the log of a clean boot: it cannot sign that log's head with the clean alias key."""
    clean, tampered = device(), device(components=(*GOOD[:3], dataclasses.replace(GOOD[3], content=b"evil")))
    service = Service(clean)
    request = tampered.request(service.challenge(tampered), CLIENT_KEY)
    with_log = dataclasses.replace(request, event_log=clean.event_log)
    appraisal = service.check_in(checkin.encode_request(with_log), peer=clean)
    assert (appraisal.verdict, failing(appraisal)) == ("update-only", {11})
    # and with the endorsement of the clean boot, which it may have kept
    request = tampered.request(service.challenge(tampered), CLIENT_KEY)
    kept = dataclasses.replace(request, endorsement=clean.endorsement, event_log=clean.event_log)
    with pytest.raises(SignatureError, match="evidence"):
        service.check_in(checkin.encode_request(kept), peer=clean)


@pytest.mark.parametrize("stage", range(4))
def test_tampered_component_changes_the_alias_key_and_earns_only_updates(stage: int):
    clean = device()
    for at in range(len(GOOD[stage].content)):
        content = bytearray(GOOD[stage].content)
        content[at] ^= 1
        components = [*GOOD]
        components[stage] = dataclasses.replace(GOOD[stage], content=bytes(content))
        tampered = device(components=tuple(components))
        assert tampered.device_id == clean.device_id
        assert tampered.alias.private_numbers() != clean.alias.private_numbers()
        assert tampered.log_head != clean.log_head
    service = Service(tampered)
    appraisal = service.check_in(service.prove(tampered), peer=tampered)
    assert (appraisal.verdict, failing(appraisal)) == ("update-only", {13})
    assert terms_for(appraisal.verdict, appraisal.trust_tier, now=NOW).purpose == "update"
    assert service.enrolments[tampered.device_id].last_boot_count == 0, "an untrusted boot raises no counter"
    assert (
        terms_for(service.check_in(service.prove(clean), peer=clean).verdict, "software", now=NOW).purpose == "client"
    )


def test_boot_components_in_another_order_earn_only_updates():
    """Every order but the release's, each with a log that the device itself has signed."""
    for order in itertools.permutations(GOOD):
        machine = device(components=order)
        service = Service(machine)
        appraisal = service.check_in(service.prove(machine), peer=machine)
        expected = ("attested", set()) if order == GOOD else ("update-only", {14})
        assert (appraisal.verdict, failing(appraisal)) == expected, [component.name for component in order]


def test_a_device_that_reverses_its_boot_gets_an_update_certificate(host: ServiceHost):
    with host.claimed(b"r" * 32) as machine:
        good = machine.prover.components
        machine.prover.components = good[::-1]
        machine.prover.boot()
        reply = machine.check_in()
        assert (reply.verdict, reply.purpose) == ("update-only", "update")
        assert [step.name for step in reply.steps if step.result == "fail"] == ["complete release"]
        machine.prover.components = good
        machine.prover.boot()
        assert machine.check_in().verdict == "attested"


def test_rolled_back_security_version_is_noticed():
    """Old and new are both known good and validly endorsed; this device was once on the new one."""
    old, new = release(1, security_version=1), release(2, security_version=2)
    values = [c.reference("mt3620", "26.11") for c in old] + [c.reference("mt3620", "26.12") for c in new]
    machine = device(components=old)
    service = Service(machine, reference=ReferenceValues(values))
    assert service.check_in(service.prove(machine), peer=machine).verdict == "attested"
    machine.components, machine.os_version = new, "26.12"
    machine.boot()
    assert service.check_in(service.prove(machine), peer=machine).verdict == "attested"
    machine.components, machine.os_version = old, "26.11"
    machine.boot()
    appraisal = service.check_in(service.prove(machine), peer=machine)
    assert (appraisal.verdict, failing(appraisal)) == ("update-only", {15})
    machine.components, machine.os_version = new, "26.12"
    machine.boot()
    assert service.check_in(service.prove(machine), peer=machine).verdict == "attested"


def test_copied_device_is_noticed_within_two_check_ins():
    original = device()
    service = Service(original)
    assert service.check_in(service.prove(original), peer=original).verdict == "attested"
    copy = device(boot_count=original.boot_count)
    assert copy.device_id == original.device_id
    verdicts = [service.check_in(service.prove(copy), peer=copy).verdict]  # boot 2: nothing to compare with yet
    original.boot()  # boot 2 as well
    appraisal = service.check_in(service.prove(original), peer=original)
    verdicts.append(appraisal.verdict)
    assert "update-only" in verdicts
    assert failing(appraisal) == {10}


def test_restarts_raise_no_false_alarm():
    machine = device()
    service = Service(machine)
    for restart in range(200):
        assert service.check_in(service.prove(machine), peer=machine).verdict == "attested", restart
        if restart % 3:
            machine.boot()


def raw(request: checkin.CheckinRequest, **parts: bytes) -> bytes:
    report = checkin.encode_report(request.installed, request.outcomes, request.error_reports)
    fields = {"evidence": request.evidence, "endorsement": request.endorsement, "log": request.event_log} | parts
    return cbor.encode([1, fields["evidence"], fields["endorsement"], fields["log"], report])


def test_hostile_bytes_are_refused():
    victim = device()
    service = Service(victim)
    request = victim.request(service.challenge(victim), CLIENT_KEY)
    good = raw(request)
    payload = cose.parse_sign1(request.evidence).payload
    duplicate = b"\xb1" + payload[1:] + cbor.encode(-70006) + b"\x58\x20" + bytes(32)  # one claim twice, signed
    duplicates = cose.encode_sign1(duplicate, victim.alias)
    empty_protected = b"\xd2" + cbor.encode([b"", {1: -7}, payload, request.evidence[-64:]])
    hostile = {
        "duplicate claim": raw(request, evidence=duplicates),
        "a0 protected": raw(request, evidence=empty_protected),
        "unprotected header added": raw(
            request, evidence=b"\xd2" + cbor.encode([cose.ES256_PROTECTED, {4: b"x"}, payload, request.evidence[-64:]])
        ),
        "trailing byte": good + b"\0",
        "map instead of array": b"\xa5" + good[1:],
        "indefinite array": b"\x9f" + good[1:] + b"\xff",
        "1 MiB": good + bytes(MEBIBYTE),
        "1 MiB evidence": cbor.encode([1, bytes(MEBIBYTE), b"", b"", b""]),
        "1 MiB claimed": b"\x85\x01\x5a\x00\x10\x00\x00" + good[3:],
        "2^63 items claimed": b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
        "deep": b"\x81" * 60_000,
        "deep maps": b"\xa1\x00" * 30_000,
        "many keys": b"\xb9\x7f\xff" + b"".join(cbor.encode(n) + b"\x00" for n in range(0x4000)),
    }
    for name, data in hostile.items():
        start = time.process_time()
        with pytest.raises(WireError):
            service.check_in(data, peer=victim)
        assert time.process_time() - start < 1, name
    assert service.check_in(good, peer=victim).verdict == "attested"


def test_every_truncation_is_refused():
    victim = device()
    service = Service(victim)
    good = service.prove(victim)
    for size in range(len(good)):
        with pytest.raises(WireError):
            service.check_in(good[:size], peer=victim)
    assert service.check_in(good, peer=victim).verdict == "attested"

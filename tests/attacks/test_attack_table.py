# SPDX-License-Identifier: Apache-2.0
"""The table of ``docs/reference/attacks.md``: each attack has tests that hold what stops it, and mutations.

A mutation takes the one check away and shows that the attack then goes through: that check, and nothing else, stops it.
"""

from __future__ import annotations

import hmac
import re
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cbor2
import pytest
from tests.attest import test_tpm_enrolment as enrolment

from armillary.attest import appraise as rules, challenge as challenges, judgement
from armillary.attest.reference import ReferenceValues
from armillary.engines.records.lookup import DeviceLookup
from armillary.errors import AppraisalError, ChallengeError, SignatureError, WireError
from armillary.identity import dice
from armillary.sim.device.prover import Prover, release
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.attestation.event_log import BootEvent, encode_log, parse_log
from armillary.wire.device.checkin import CheckinRequest
from armillary.wire.device.problem import parse_problem
from armillary.wire.encoding import cbor, cose

ROOT = Path(__file__).resolve().parents[2]
# Attack, what stops it, tests with the honest case beside the attack, tests that take the check away.
ATTACKS = re.findall(
    r"^\| ([^|]+) \| ([^|]+) \| (`[^|]+) \| (`[^|]+) \|$",
    (ROOT / "docs/reference/attacks.md").read_text(),
    re.MULTILINE,
)


def test_the_table_has_every_attack_once():
    assert len(ATTACKS) == len({attack for attack, *_ in ATTACKS})
    assert len(ATTACKS) >= 20 + 19  # on identity and attestation, on updates


@pytest.mark.parametrize(("tests", "mutations"), [row[2:] for row in ATTACKS], ids=[row[0] for row in ATTACKS])
def test_every_attack_has_its_tests_and_mutations(tests: str, mutations: str):
    for names in (tests, mutations):
        for name in re.findall(r"`([^`]+)`", names):
            file, _, test = name.partition("::")
            assert f"def {test}(" in (ROOT / file).read_text("utf-8"), name


# -- mutations ----------------------------------------------------------------------------------------------------

NOW = 1_790_000_000
KEY = b"k" * 32
GOOD = release(1)
REFERENCE = ReferenceValues([component.reference("mt3620", "26.11") for component in GOOD])
CLIENT_KEY = cose.spki_from_point(cose.point_of(dice.alias_key(b"client key".ljust(32)).public_key()))


def prover(secret: bytes, **values: str) -> Prover:
    return Prover(uds=secret.ljust(32), components=GOOD, **values)


def judged(
    machine: Prover,
    *,
    connection: Prover,
    asked: Prover,
    enrolled: rules.Enrolment | None = None,
    twist: Callable[[CheckinRequest], CheckinRequest] = lambda request: request,
):
    """The appraisal of ``machine``'s proof, twisted, for a challenge given to ``asked``, on ``connection``."""
    challenge = challenges.mint(KEY, now=NOW, random=b"r" * 16, peer_key=asked.peer_key)
    return rules.appraise(
        twist(machine.request(challenge, CLIENT_KEY)),
        enrolment=enrolled or connection.enrolment(),
        reference=REFERENCE,
        peer_key=connection.peer_key,
        challenge_key=KEY,
        now=NOW + 1,
        service_name="localhost",
    )


def test_mutation_of_the_binding_to_the_connection(monkeypatch: pytest.MonkeyPatch):
    machine, other = prover(b"victim"), prover(b"thief")
    with pytest.raises(ChallengeError):
        judged(machine, connection=machine, asked=other)
    assert judged(machine, connection=machine, asked=machine).verdict == "attested"
    genuine: Callable[[bytes, bytes], bytes] = challenges._mac
    monkeypatch.setattr(challenges, "_mac", lambda key, message: genuine(key, message[:41]))
    assert judged(machine, connection=machine, asked=other).verdict == "attested"


def test_mutation_of_the_service_name(monkeypatch: pytest.MonkeyPatch):
    machine = prover(b"victim", service_name="impostor")
    with pytest.raises(AppraisalError, match="step 6"):
        judged(machine, connection=machine, asked=machine)
    genuine = rules._check_binding  # steps 5, 7 and 8 stay
    monkeypatch.setattr(
        rules,
        "_check_binding",
        lambda request, claims, endorsement, enrolment, _: genuine(
            request, claims, endorsement, enrolment, claims.service_name
        ),
    )
    assert judged(machine, connection=machine, asked=machine).verdict == "attested"


def test_mutation_of_the_boot_counter(monkeypatch: pytest.MonkeyPatch):
    original, copy = prover(b"victim"), prover(b"victim")
    first = judged(original, connection=original, asked=original)
    enrolled = rules.Enrolment(
        device_id=original.device_id,
        identity_key=bytes.fromhex(original.device_id),
        chip="mt3620",
        trust_tier="software",
        last_boot_count=1,
        last_endorsement=first.endorsement_digest,
    )
    assert judged(copy, connection=original, asked=original, enrolled=enrolled).verdict == "update-only"
    assert judged(original, connection=original, asked=original, enrolled=enrolled).verdict == "attested"
    monkeypatch.setattr(rules, "_counter_fault", lambda *_: "")
    assert judged(copy, connection=original, asked=original, enrolled=enrolled).verdict == "attested"


def test_mutation_of_the_signature(monkeypatch: pytest.MonkeyPatch):
    machine = prover(b"victim")
    machine.alias = dice.alias_key(b"attacker".ljust(32))
    with pytest.raises(SignatureError):
        judged(machine, connection=machine, asked=machine)
    monkeypatch.setattr(rules.cose, "verify_sign1", lambda *_, **__: None)
    assert judged(machine, connection=machine, asked=machine).verdict == "attested"


def without(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Take one of steps 9 to 15 away."""
    genuine = rules._boot_faults

    def fewer(*arguments: Any) -> dict[int, str]:
        return {number: fault for number, fault in genuine(*arguments).items() if number != step}

    monkeypatch.setattr(rules, "_boot_faults", fewer)


def test_mutation_of_the_security_version(monkeypatch: pytest.MonkeyPatch):
    machine = prover(b"victim")
    newer = replace(machine.enrolment(), minimum_security_versions={1: 2})  # it was once attested with version 2
    assert judged(machine, connection=machine, asked=machine).verdict == "attested"
    assert judged(machine, connection=machine, asked=machine, enrolled=newer).verdict == "update-only"
    without(monkeypatch, 15)
    assert judged(machine, connection=machine, asked=machine, enrolled=newer).verdict == "attested"


def test_mutation_of_the_known_components(monkeypatch: pytest.MonkeyPatch):
    tampered = Prover(uds=b"victim".ljust(32), components=(replace(GOOD[0], content=b"evil"), *GOOD[1:]))
    assert judged(tampered, connection=tampered, asked=tampered).verdict == "update-only"
    without(monkeypatch, 13)
    assert judged(tampered, connection=tampered, asked=tampered).verdict == "attested"


def test_mutation_of_the_event_log(monkeypatch: pytest.MonkeyPatch):
    machine = prover(b"victim")
    genuine = machine.event_log
    machine.event_log = encode_log(parse_log(genuine).events[1:])
    assert judged(machine, connection=machine, asked=machine).verdict == "update-only"
    without(monkeypatch, 11)
    assert judged(machine, connection=machine, asked=machine).verdict == "attested"


def test_mutation_of_the_boot_order(monkeypatch: pytest.MonkeyPatch):
    """All good components, reversed, in a log that replays: the order is all that tells it from the release."""
    machine = Prover(uds=b"victim".ljust(32), components=GOOD[::-1])
    assert judged(machine, connection=machine, asked=machine).verdict == "update-only"
    genuine = judgement._complete_releases

    def in_any_order(events: tuple[BootEvent, ...], *rest: Any) -> tuple[str, ...]:
        return genuine(tuple(sorted(events, key=lambda event: event.component_id)), *rest)

    monkeypatch.setattr(judgement, "_complete_releases", in_any_order)
    assert judged(machine, connection=machine, asked=machine).verdict == "attested"


def test_mutation_of_the_one_spelling(monkeypatch: pytest.MonkeyPatch):
    """One claim twice under a genuine signature: whoever reads the first sees another report than who reads the last."""
    machine = prover(b"two ways to read")

    def twist(request: CheckinRequest) -> CheckinRequest:
        payload = cose.parse_sign1(request.evidence).payload
        other = cbor.encode(-70006) + b"\x58\x20" + bytes(32)
        twice = bytes([payload[0] + 1]) + payload[1 : -len(other)] + other + payload[-len(other) :]
        return replace(request, evidence=cose.encode_sign1(twice, machine.alias))

    with pytest.raises(WireError):
        judged(machine, connection=machine, asked=machine, twist=twist)
    monkeypatch.setattr(cbor, "decode", lambda data, **_: cbor2.loads(data))
    assert judged(machine, connection=machine, asked=machine, twist=twist).verdict == "attested"


def test_mutation_of_the_credential(monkeypatch: pytest.MonkeyPatch):
    claim, question = enrolment.ask(enrolment.SoftTpm(enrolment.MAKER))
    with pytest.raises(AppraisalError, match="secret"):
        enrolment.answer(claim, question.expires_at, bytes(32))  # software that cannot open the credential
    monkeypatch.setattr(hmac, "compare_digest", lambda *_: True)
    enrolment.answer(claim, question.expires_at, bytes(32))


# -- over TLS -----------------------------------------------------------------------------------------------------


def refused(device: WireDevice) -> str:
    device.challenge = b""
    answer = device.exchange("GET", "/v1/challenge")
    assert answer.status == 403
    return parse_problem(answer.body).code


def test_mutation_of_the_registry_for_a_rogue_device(host: ServiceHost, monkeypatch: pytest.MonkeyPatch):
    known = host.claimed(b"k" * 32)
    key = replace(known.prover, uds=b"R" * 32, boot_count=0)
    # Issued past the registry.
    _, chain = host.service.authority.silicon.identity_certificate("MediaTek", key.device_id)
    rogue = replace(known, prover=key, factory=replace(known.factory, certificate_chain=chain))
    genuine = DeviceLookup.device
    with rogue:
        assert refused(rogue) == "device.unknown"

        def lenient(self: DeviceLookup, device_id: str) -> Any:
            found = genuine(self, device_id)
            return found or replace(genuine(self, known.device_id), device_id=device_id)

        monkeypatch.setattr(DeviceLookup, "device", lenient)
        assert rogue.check_in().verdict == "attested"


def test_mutation_of_the_registry_for_a_revoked_device(host: ServiceHost, monkeypatch: pytest.MonkeyPatch):
    with host.claimed(b"r" * 32) as device:
        assert device.check_in().verdict == "attested"
        host.service.registry.lifecycle.revoke(device.device_id, reason="stolen", actor="t")
        device.disconnect()
        assert refused(device) == "device.revoked"
        genuine = DeviceLookup.device
        monkeypatch.setattr(DeviceLookup, "device", lambda *one: replace(genuine(*one), revoked=False))
        host.service.notices.device_changed(device.device_id)
        device.disconnect()
        assert device.check_in().verdict == "attested"


def test_mutation_of_the_pinned_root(tmp_path: Path, host: ServiceHost):
    """A second service with a root of its own in the place of the first."""
    device = host.claimed(b"p" * 32)
    with ServiceHost(tmp_path / "other") as impostor:
        device.port = impostor.service.device_address.port
        with pytest.raises(ssl.SSLCertVerificationError):
            device.connect()
        fooled = device.tls_context()
        fooled.check_hostname, fooled.verify_mode = False, ssl.CERT_NONE
        assert device.connect(fooled).version() == "TLSv1.3"
        device.disconnect()

# SPDX-License-Identifier: Apache-2.0
"""The attack table: 18 attacks, the check that stops each, the tests that hold it, and what is not shown yet.

A row with a gap is skipped where everybody sees it. The mutations at the end take one check away and show that the
attack then goes through: that check, and nothing else, stops it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from armillary.attest import appraise as rules
from armillary.attest import challenge as challenges
from armillary.attest.reference import ReferenceValues
from armillary.errors import AppraisalError, ChallengeError, SignatureError
from armillary.identity import dice
from armillary.sim.prover import Prover, release
from armillary.wire import cose

HERE = Path(__file__).resolve().parent


class Attack(NamedTuple):
    name: str
    check: str
    tests: tuple[str, ...]
    gap: str = ""


E, A, B = "test_device_endpoint.py::", "test_attest_attacks.py::", "test_boot_tampering.py::"
T = "../engines/test_tpm2_root_of_trust.py::"
ATTACKS = (
    Attack("rogue device", "registry (B)", (E + "test_a_device_that_was_never_enrolled_is_unknown",)),
    Attack(
        "cloned key",
        "boot counter (10)",
        (A + "test_copied_device_is_noticed_within_two_check_ins",),
        "neither machine is held: a copy that speaks first keeps its client certificate",
    ),
    Attack(
        "replayed evidence",
        "spent challenge (C)",
        (E + "test_a_proof_is_good_once_on_the_same_a_new_and_a_later_connection",),
        "another worker on the same records",
    ),
    Attack("rolled-back firmware", "security version (15)", (A + "test_rolled_back_security_version_is_noticed",)),
    Attack(
        "tampered boot component",
        "known components (13)",
        (A + "test_tampered_component_changes_the_alias_key_and_earns_only_updates",),
    ),
    Attack(
        "stolen expired certificate",
        "validity on every request (A)",
        (
            E + "test_a_certificate_that_ends_on_an_open_connection_is_refused",
            E + "test_no_session_can_be_resumed",
        ),
    ),
    Attack(
        "wrong-CA certificate",
        "TLS trusts silicon authorities only (A)",
        (
            E + "test_a_certificate_of_an_authority_with_the_right_name_and_another_key_is_refused",
            E + "test_a_server_or_client_certificate_of_the_service_opens_nothing",
        ),
        "an authority of another catalog",
    ),
    Attack("TLS downgrade", "TLS 1.3 only (A)", (E + "test_tls_1_2_is_refused",), "odd hellos"),
    Attack("time skew", "signed time", (), "a device at 1970 or 2100 that recovers"),
    Attack("revoked device", "registry (B)", (E + "test_a_revoked_device_loses_its_connection_and_its_next_request",)),
    Attack("man in the middle", "pinned service root", (E + "test_a_device_refuses_a_service_with_another_root",)),
    Attack(
        "evidence relay",
        "challenge (2), endorsement (3), device identity (5)",
        (
            A + "test_relay_through_another_devices_connection_is_refused",
            A + "test_thief_endorses_the_victims_alias_key",
            E + "test_a_challenge_of_one_device_is_useless_to_another",
        ),
    ),
    Attack("forged event log", "event log (11)", (A + "test_forged_event_log_is_not_judged",)),
    Attack(
        "forged quote outside the TPM",
        "restricted key, tpm quote (16)",
        (
            T + "test_the_attestation_key_signs_no_quote_that_software_wrote",
            "test_tpm_quote.py::test_only_the_quote_step_stops_it",
        ),
    ),
    Attack(
        "key not in that TPM",
        "credential activation",
        (
            T + "test_a_credential_for_another_name_is_not_opened_by_the_tpm",
            "../attest/test_tpm_enrolment.py::test_a_tpm_with_another_attestation_key_cannot_open_the_credential",
        ),
    ),
    Attack("parser differential", "one spelling", (A + "test_hostile_bytes_are_refused",)),
    Attack("issuance abuse", "per-device rate", (), "flood; request for a CA certificate or another id"),
    Attack("verifier dies silently", "last-attested clock", (), "an alarm when a verifier stops or falls behind"),
)


def test_the_table_has_every_attack_once():
    assert len(ATTACKS) == 18
    assert len({attack.name for attack in ATTACKS}) == 18


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_every_attack_has_its_tests(attack: Attack):
    assert attack.tests or attack.gap
    for name in attack.tests:
        file, _, test = name.partition("::")
        assert f"def {test}(" in (HERE / file).read_text("utf-8"), name
    if attack.gap:
        pytest.skip(f"not shown yet: {attack.gap}")


# -- mutations ----------------------------------------------------------------------------------------------------

NOW = 1_790_000_000
KEY = b"k" * 32
GOOD = release(1)
REFERENCE = ReferenceValues([component.reference("mt3620", "26.11") for component in GOOD])
CLIENT_KEY = cose.spki_from_point(cose.point_of(dice.alias_key(b"client key".ljust(32)).public_key()))


def prover(secret: bytes, **values: str) -> Prover:
    return Prover(uds=secret.ljust(32), components=GOOD, **values)


def judged(machine: Prover, *, connection: Prover, asked: Prover, enrolled: rules.Enrolment | None = None):
    """The appraisal of ``machine``'s proof for a challenge given to ``asked``, on ``connection``."""
    challenge = challenges.mint(KEY, now=NOW, random=b"r" * 16, peer_key=asked.peer_key)
    return rules.appraise(
        machine.request(challenge, CLIENT_KEY),
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

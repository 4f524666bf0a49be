# SPDX-License-Identifier: Apache-2.0
"""The attack table: 20 attacks, the check that stops each, the tests that hold it, and its mutations.

A mutation takes the one check away and shows that the attack then goes through: that check, and nothing else, stops it.
``docs/reference/attacks.md`` is this table for people; a test keeps it true.
"""

from __future__ import annotations

import hmac
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

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
from armillary.wire.device.checkin import CheckinRequest, parse_problem
from armillary.wire.encoding import cbor, cose

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parents[1] / "docs" / "reference" / "attacks.md"


class Attack(NamedTuple):
    """A row.

    Attributes:
        check: What stops it.
        tests: Tests with the honest case beside the attack, ``FILE::TEST`` from this folder.
        mutations: Tests that take the check away.
    """

    name: str
    check: str
    tests: tuple[str, ...]
    mutations: tuple[str, ...]


E, A, B = "test_device_endpoint.py::", "test_attest_attacks.py::", "test_boot_tampering.py::"
C, I, O, W = "test_copies.py::", "test_issuance.py::", "test_odd_tls.py::", "test_workers.py::"  # noqa: E741
D, V, Q = "test_device_time.py::", "test_verifier_stops.py::", "test_tpm_quote.py::"
T, F = "../engines/root_of_trust/test_tpm2_root_of_trust.py::", "../properties/test_fork_histories.py::"
M, S = "test_attack_table.py::", "test_stolen_authority.py::"
ATTACKS = (
    Attack(
        "rogue device",
        "registry (B)",
        (E + "test_a_device_that_was_never_enrolled_is_unknown",),
        (M + "test_mutation_of_the_registry_for_a_rogue_device",),
    ),
    Attack(
        "cloned key",
        "boot counter (10), lineage (17), hold",
        (
            A + "test_copied_device_is_noticed_within_two_check_ins",
            C + "test_copies_that_boot_past_each_other_are_found_and_both_are_held",
            F + "test_two_living_copies_are_found_within_two_answered_check_ins_of_each",
            F + "test_restarts_restores_and_lost_replies_never_raise_an_alarm",
        ),
        (
            M + "test_mutation_of_the_boot_counter",
            C + "test_without_the_lineage_step_the_copies_are_never_found",
        ),
    ),
    Attack(
        "replayed evidence",
        "spent challenge (C)",
        (
            E + "test_a_proof_is_good_once_on_the_same_a_new_and_a_later_connection",
            W + "test_a_proof_is_good_once_whichever_worker_gets_it",
        ),
        (W + "test_mutation_of_the_database_that_refuses_a_spent_challenge",),
    ),
    Attack(
        "rolled-back firmware",
        "security version (15)",
        (A + "test_rolled_back_security_version_is_noticed",),
        (M + "test_mutation_of_the_security_version",),
    ),
    Attack(
        "tampered boot component",
        "known components (13)",
        (A + "test_tampered_component_changes_the_alias_key_and_earns_only_updates",),
        (M + "test_mutation_of_the_known_components",),
    ),
    Attack(
        "stolen expired certificate",
        "no tickets, validity on every request (A)",
        (
            E + "test_a_certificate_that_ends_on_an_open_connection_is_refused",
            E + "test_no_session_can_be_resumed",
        ),
        (O + "test_resumed_tls_after_expiry_is_refused_by_two_checks",),
    ),
    Attack(
        "wrong-CA certificate",
        "TLS trusts silicon authorities only (A); the hub the authorities of the device's catalog",
        (
            E + "test_a_certificate_of_an_authority_with_the_right_name_and_another_key_is_refused",
            E + "test_a_server_or_client_certificate_of_the_service_opens_nothing",
            I + "test_the_authority_of_another_catalog_opens_nothing",
            I + "test_a_device_that_signs_certificates_itself_makes_nobody_a_device",
        ),
        (
            O + "test_mutation_of_the_authorities_that_are_trusted",
            I + "test_mutation_of_the_catalog_and_of_the_record",
        ),
    ),
    Attack(
        "TLS downgrade",
        "TLS 1.3 only, client certificate required (A)",
        (
            E + "test_tls_1_2_is_refused",
            O + "test_a_hello_that_is_none_gets_no_answer_and_harms_nobody",
            O + "test_without_a_server_name_the_certificate_counts_all_the_same",
        ),
        (
            O + "test_mutation_of_tls_1_3_only",
            O + "test_mutation_of_the_client_certificate_that_is_required",
        ),
    ),
    Attack(
        "time skew",
        "signed time, never the host's",
        (
            D + "test_a_device_at_1970_or_2100_recovers",
            D + "test_a_stolen_old_server_key_sets_back_no_device_that_heard_the_service_since",
            D + "test_a_service_whose_clock_jumped_ahead_and_back_keeps_its_devices",
        ),
        (
            D + "test_mutation_with_the_hosts_clock_in_charge_it_never_recovers",
            D + "test_nobody_without_the_services_key_sets_the_time",
        ),
    ),
    Attack(
        "revoked device",
        "registry (B)",
        (E + "test_a_revoked_device_loses_its_connection_and_its_next_request",),
        (M + "test_mutation_of_the_registry_for_a_revoked_device",),
    ),
    Attack(
        "man in the middle",
        "pinned service root",
        (
            E + "test_a_device_refuses_a_service_with_another_root",
            D + "test_an_authority_of_devices_that_was_stolen_is_no_service",
        ),
        (M + "test_mutation_of_the_pinned_root", D + "test_nobody_without_the_services_key_sets_the_time"),
    ),
    Attack(
        "stolen key of an authority of devices as a server",
        "extended key usage and name constraints of every authority below the root",
        (
            S + "test_a_stolen_authority_of_devices_is_no_server_to_anybody",
            S + "test_a_server_that_names_its_host_in_the_subject_only_is_refused_too",
            S + "test_either_way_alone_stops_it",
        ),
        (S + "test_mutation_of_the_limits_of_authorities",),
    ),
    Attack(
        "evidence relay",
        "challenge (2), endorsement (3), device identity (5), service name (6)",
        (
            A + "test_relay_through_another_devices_connection_is_refused",
            A + "test_thief_endorses_the_victims_alias_key",
            E + "test_a_challenge_of_one_device_is_useless_to_another",
        ),
        (
            M + "test_mutation_of_the_binding_to_the_connection",
            M + "test_mutation_of_the_service_name",
            M + "test_mutation_of_the_signature",
        ),
    ),
    Attack(
        "forged event log",
        "event log (11)",
        (A + "test_forged_event_log_is_not_judged",),
        (M + "test_mutation_of_the_event_log",),
    ),
    Attack(
        "reordered boot",
        "complete release, in boot order (14)",
        (
            A + "test_boot_components_in_another_order_earn_only_updates",
            A + "test_a_device_that_reverses_its_boot_gets_an_update_certificate",
        ),
        (M + "test_mutation_of_the_boot_order",),
    ),
    Attack(
        "forged quote outside the TPM",
        "restricted key, tpm quote (16)",
        (T + "test_the_attestation_key_signs_no_quote_that_software_wrote",),
        (Q + "test_only_the_quote_step_stops_it",),
    ),
    Attack(
        "key not in that TPM",
        "credential activation",
        (
            T + "test_a_credential_for_another_name_is_not_opened_by_the_tpm",
            "../attest/test_tpm_enrolment.py::test_a_tpm_with_another_attestation_key_cannot_open_the_credential",
        ),
        (M + "test_mutation_of_the_credential",),
    ),
    Attack(
        "parser differential",
        "one spelling",
        (A + "test_hostile_bytes_are_refused",),
        (M + "test_mutation_of_the_one_spelling",),
    ),
    Attack(
        "issuance abuse",
        "per-device rate; names and extensions of a request are ignored",
        (
            I + "test_a_device_that_asks_too_often_is_told_when_to_come_back",
            I + "test_a_request_for_an_authority_or_another_name_gets_neither",
        ),
        (I + "test_mutation_of_the_rate_of_a_device",),
    ),
    Attack(
        "verifier dies silently",
        "heartbeat of the verifier, last-seen clock of devices",
        (
            V + "test_a_verifier_that_stands_still_raises_the_alarm_and_recovers",
            V + "test_a_disk_that_does_not_keep_up_raises_the_alarm",
            V + "test_a_process_that_was_killed_is_noticed_by_the_next_start_and_no_device_is_blamed",
        ),
        (V + "test_mutation_of_the_heartbeat",),
    ),
)


def test_the_table_has_every_attack_once():
    assert len(ATTACKS) == 20
    assert len({attack.name for attack in ATTACKS}) == 20


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_every_attack_has_its_tests_and_mutations(attack: Attack):
    assert attack.tests
    assert attack.mutations
    for name in (*attack.tests, *attack.mutations):
        file, _, test = name.partition("::")
        assert f"def {test}(" in (HERE / file).read_text("utf-8"), name


def rows() -> str:
    """The table as it stands in the document."""

    def cell(names: tuple[str, ...]) -> str:
        return " ".join(
            f"`{name.replace('../', 'tests/') if '/' in name else 'tests/attacks/' + name}`" for name in names
        )

    lines = ["| attack | what stops it | tests | without it, the attack gets through |", "|---|---|---|---|"]
    lines += [f"| {one.name} | {one.check} | {cell(one.tests)} | {cell(one.mutations)} |" for one in ATTACKS]
    return "\n".join(lines)


def test_the_document_says_what_the_table_says():
    assert rows() in DOCUMENT.read_text("utf-8"), "docs/reference/attacks.md: replace its table with rows()"


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
    key = Prover(uds=b"R" * 32, components=known.prover.components, service_name=known.prover.service_name)
    key.os_version = known.prover.os_version
    _, chain = host.service.authority.silicon.identity_certificate(
        "MediaTek", key.device_id
    )  # issued past the registry
    rogue = WireDevice(prover=key, factory=replace(known.factory, certificate_chain=chain), port=known.port)
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

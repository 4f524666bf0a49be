# SPDX-License-Identifier: Apache-2.0
"""Round trips of the attestation formats, and: no byte of an accepted check-in can change without being noticed."""

from __future__ import annotations

import dataclasses
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples, is_long

from armillary.attest import challenge as ch
from armillary.attest.appraise import Appraisal, appraise
from armillary.attest.judgement import AppraisalMemory
from armillary.attest.reference import ReferenceValues
from armillary.errors import ArmillaryError, WireError
from armillary.identity.dice import alias_key
from armillary.sim.device.prover import Prover, release
from armillary.update.directive import accepted
from armillary.wire.attestation import event_log, evidence
from armillary.wire.device import checkin, crash_record, error_report
from armillary.wire.device.challenge import Challenge, encode_challenge, parse_challenge
from armillary.wire.device.offer_timing import OfferTiming
from armillary.wire.device.problem import Problem, encode_problem, parse_problem
from armillary.wire.device.update_status import ABILITIES, UpdateStatus
from armillary.wire.encoding import cbor, cose
from armillary.wire.update.directive import Directive, encode_directive, parse_directive

KEY = alias_key(b"k" * 32)
NOW = 1_790_000_000
FAST = settings(max_examples=examples(80), deadline=None)

integers = st.integers(-(2**64), 2**64 - 1)
leaves = integers | st.binary(max_size=40) | st.text(max_size=20) | st.booleans() | st.none()
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(integers | st.text(max_size=6), inner, max_size=5),
    max_leaves=20,
)


@FAST
@given(values)
def test_cbor_round_trip(value: object):
    data = cbor.encode(value)
    assert cbor.decode(data, what="test", limit=len(data)) == value


@FAST
@given(st.dictionaries(integers | st.text(max_size=6), st.just(0), max_size=8))
def test_cbor_keys_are_in_bytewise_order(value: dict):
    keys = [cbor.encode(key) for key in cbor.decode(cbor.encode(value), what="test", limit=1000)]
    assert keys == sorted(keys)


def text(limit: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=limit // 4)


uuids = st.uuids()
times = st.integers(0, 253_402_300_799)
events = st.builds(
    event_log.BootEvent,
    component=text(64).filter(bool),
    image_type=st.integers(0, 0xFFFF),
    component_id=uuids,
    image_id=uuids,
    digest=st.binary(min_size=32, max_size=32),
    security_version=st.integers(0, 2**32 - 1),
)


@FAST
@given(st.lists(events, min_size=1, max_size=9))
def test_event_log_round_trip(found: list[event_log.BootEvent]):
    data = event_log.encode_log(found)
    parsed = event_log.parse_log(data)
    assert parsed.events == tuple(found)
    assert event_log.log_head(parsed.events) == event_log.log_head(found)
    assert cbor.encode(cbor.decode(data, what="test", limit=len(data))) == data


@FAST
@given(st.lists(events, min_size=2, max_size=6), st.data())
def test_event_log_head_depends_on_every_event_and_their_order(found: list[event_log.BootEvent], data: st.DataObject):
    at = data.draw(st.integers(0, len(found) - 1))
    head = event_log.log_head(found)
    assert event_log.log_head(found[:at] + found[at + 1 :]) != head
    assert event_log.log_head([*found, found[at]]) != head
    other = data.draw(st.permutations(found))
    assert (event_log.log_head(other) == head) == (list(other) == found)


claims = st.builds(
    evidence.Evidence,
    challenge=st.binary(min_size=8, max_size=64) | st.binary(min_size=54, max_size=54),
    device_id=st.binary(min_size=64, max_size=64).map(bytes.hex),
    boot_count=st.integers(0, 2**48),
    log_head=st.binary(min_size=32, max_size=32),
    certificate_key=st.binary(min_size=64, max_size=64).map(cose.spki_from_point),
    service_name=text(253),
    chip=text(32).filter(bool),
    root_of_trust=st.sampled_from(sorted(evidence.ROOTS_OF_TRUST)),
    enforcement=st.lists(
        st.tuples(text(64), st.just("enforced") | text(200).map(lambda why: f"missing: {why}")), max_size=4
    ).map(tuple),
    sandbox=text(32),
    os_version=text(64),
    report_digest=st.binary(min_size=32, max_size=32),
)


@FAST
@given(claims)
def test_evidence_round_trip(found: evidence.Evidence):
    data = evidence.encode_evidence(found, KEY)
    parsed = evidence.parse_evidence(data)
    assert parsed.claims == found == evidence.parse_evidence(data).claims
    payload = cose.verify_sign1(parsed.message, KEY.public_key())
    assert cbor.encode(cbor.decode(payload, what="test", limit=len(payload))) == payload


@FAST
@given(claims, st.data())
def test_cached_claims_accept_and_give_what_the_strict_reader_does(found: evidence.Evidence, data: st.DataObject):
    payload = bytearray(cose.parse_sign1(evidence.encode_evidence(found, KEY)).payload)
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        strict = evidence._evidence_claims(bytes(payload))
    except WireError:
        strict = None
    try:
        remembered = evidence._known_claims(bytes(payload))
    except WireError:
        remembered = None
        assert strict is None, "refused what the strict reader accepts"
    assert remembered in (None, strict)


reports = st.builds(
    error_report.ErrorReport,
    sequence=st.integers(0, 2**53),
    boot_count=st.integers(0, 2**48),
    event_category=st.sampled_from(sorted(error_report.EVENT_CATEGORIES)),
    event_class=st.sampled_from(sorted(error_report.EVENT_CLASSES)),
    event_type=st.sampled_from(error_report.EVENT_TYPES),
    description=text(1024),
    component_id=st.none() | uuids,
    image_id=st.none() | uuids,
    count=st.integers(1, 2**32),
    start=st.just(1_790_000_000),
    end=st.integers(1_790_000_000, 1_790_090_000),
)
ends = st.tuples(st.integers(0, 64), st.none()) | st.tuples(st.none(), st.integers(0, 255))
frames = st.builds(crash_record.Frame, text(128), st.binary(max_size=64), st.integers(0, 2**64 - 1), text(128))
crashes = st.builds(
    lambda end, **rest: crash_record.CrashRecord(signal=end[0], exit_code=end[1], **rest),
    ends,
    cause=text(64),
    build_id=st.binary(max_size=64),
    frames=st.lists(frames, max_size=3).map(tuple),
    registers=st.lists(st.tuples(text(16), st.integers(0, 2**64 - 1)), max_size=3).map(tuple),
)
installed = st.builds(
    checkin.InstalledImage,
    component_id=uuids,
    image_id=uuids,
    image_type=st.integers(0, 0xFFFF),
    name=text(64),
    state=st.sampled_from(sorted(checkin.IMAGE_STATES)),
)
outcomes = st.builds(
    checkin.UpdateOutcome,
    offer_id=uuids,
    image_id=uuids,
    component_id=uuids,
    outcome=st.sampled_from(sorted(checkin.OUTCOMES)),
    reason=text(512),
    at=times,
)
statuses = st.builds(
    UpdateStatus,
    abilities=st.sets(st.sampled_from(sorted(ABILITIES - {"log"}))).map(lambda words: tuple(sorted(words))),
    directive_version=st.integers(0, 2**53),
    reason=text(64),
    detail=text(256),
    until=st.none() | times,
) | st.builds(
    UpdateStatus,
    trusted_keys=st.binary(min_size=32, max_size=32),
    trusted_roots=st.binary(min_size=32, max_size=32),
)
requests = st.builds(
    checkin.CheckinRequest,
    evidence=st.binary(max_size=100),
    endorsement=st.binary(max_size=100),
    event_log=st.binary(max_size=100),
    installed=st.lists(installed, max_size=3).map(tuple),
    outcomes=st.lists(outcomes, max_size=3).map(tuple),
    error_reports=st.lists(reports, max_size=3).map(tuple),
)


steps = st.builds(
    checkin.AppraisalStep,
    number=st.integers(1, 32),
    name=text(64),
    prevents=text(400),
    result=st.sampled_from(["fail", "not-run"]),
    detail=text(400),
) | st.builds(checkin.AppraisalStep, st.integers(1, 32), text(64), st.just(""), st.just("pass"), st.just(""))
offered = st.builds(
    checkin.OfferedImage,
    component_id=uuids,
    image_id=uuids,
    image_type=st.integers(0, 0xFFFF),
    name=text(64),
    size=st.integers(0, 2**32),
    sha256=st.binary(min_size=32, max_size=32),
)
offers = st.builds(
    checkin.Offer, offer_id=uuids, deployment_id=st.none() | uuids, images=st.lists(offered, max_size=3).map(tuple)
)
requests_with_status = st.builds(
    checkin.CheckinRequest,
    evidence=st.binary(max_size=100),
    endorsement=st.binary(max_size=100),
    event_log=st.binary(max_size=100),
    installed=st.lists(installed, max_size=2).map(tuple),
    update_status=statuses,
    protocol_version=st.just(checkin.STATUS_VERSION),
    tpm_quote=st.none() | st.binary(max_size=50),
    lineage=st.none() | st.binary(max_size=64),
)
requests_with_crashes = st.builds(
    lambda request, report, crash: dataclasses.replace(
        request, protocol_version=checkin.CRASH_VERSION, error_reports=(dataclasses.replace(report, crash=crash),)
    ),
    requests_with_status,
    reports,
    crashes,
)
requests_of_now = st.builds(
    lambda request: dataclasses.replace(request, protocol_version=checkin.CONSENT_VERSION),
    requests_with_status | requests_with_crashes,
)
requests_that_send_logs = st.builds(
    lambda request: dataclasses.replace(
        request,
        protocol_version=checkin.LOG_VERSION,
        update_status=dataclasses.replace(
            request.update_status, abilities=tuple(sorted({*request.update_status.abilities, "log"}))
        ),
    ),
    requests_of_now,
)
timings = st.builds(OfferTiming, not_before=times, lease_until=st.none() | times, urgent=st.booleans())
whole_offers = st.builds(
    checkin.Offer,
    offer_id=uuids,
    deployment_id=st.none() | uuids,
    images=st.lists(offered, max_size=3).map(tuple),
    os_version=text(64),
    os_abi=st.integers(0, checkin.MAX_OS_ABI),
    when=st.none() | timings,
)
replies = st.builds(
    checkin.CheckinReply,
    verdict=st.sampled_from(sorted(checkin.VERDICTS)),
    steps=st.lists(steps, max_size=4).map(tuple),
    certificate_chain=st.lists(st.binary(max_size=50), max_size=3).map(tuple),
    purpose=st.sampled_from(sorted(checkin.PURPOSES)),
    catalog_id=uuids,
    offer=st.none() | offers,
    next_check_in_s=st.integers(0, checkin.MAX_WAIT_S),
    challenge=st.binary(max_size=64),
    server_time=times,
    hub_host=text(253),
    hub_port=st.integers(0, 65535),
)


directed_replies = st.builds(
    lambda reply, offer, directive: dataclasses.replace(
        reply, protocol_version=2, offer=offer, directive=None if offer else directive
    ),
    replies,
    st.none() | whole_offers,
    st.none() | st.binary(max_size=200),
)
consenting_replies = st.builds(
    lambda reply, dumps: dataclasses.replace(reply, protocol_version=checkin.CONSENT_REPLY_VERSION, dumps=dumps),
    directed_replies,
    st.integers(checkin.NO_DUMPS, checkin.FULL_DUMPS),
)
asking_replies = st.builds(
    lambda reply, asked: dataclasses.replace(reply, protocol_version=checkin.LOG_REPLY_VERSION, log_request=asked),
    consenting_replies,
    st.none() | uuids,
)
directives = st.builds(
    Directive,
    version=st.integers(0, 2**53),
    device_id=st.binary(min_size=64, max_size=64).map(bytes.hex),
    hardware=text(32).filter(bool),
    offer=whole_offers,
    issued_at=st.just(NOW),
    expires_at=st.integers(NOW + 1, NOW + 10**6),
)
KEY_ID = "ab" * 32


def directive_of(data: bytes) -> Directive:
    unverified = parse_directive(data)
    return accepted(
        unverified,
        {KEY_ID: KEY.public_key()},
        device_id=unverified.claims.device_id,
        hardware=unverified.claims.hardware,
        last_version=unverified.claims.version,
        now=NOW,
    )


challenges = st.builds(Challenge, st.binary(max_size=64), times)
waits = st.none() | st.integers(0, checkin.MAX_WAIT_S)
problems = st.builds(Problem, text(64), text(400), text(400), waits)
MESSAGES = {
    "request": (requests, checkin.encode_request, checkin.parse_request),
    "request with a status": (requests_with_status, checkin.encode_request, checkin.parse_request),
    "request with a crash": (requests_with_crashes, checkin.encode_request, checkin.parse_request),
    "request of now": (requests_of_now, checkin.encode_request, checkin.parse_request),
    "reply with consent": (consenting_replies, checkin.encode_reply, checkin.parse_reply),
    "request that sends logs": (requests_that_send_logs, checkin.encode_request, checkin.parse_request),
    "reply that asks for a log": (asking_replies, checkin.encode_reply, checkin.parse_reply),
    "reply with a directive": (directed_replies, checkin.encode_reply, checkin.parse_reply),
    "reply": (replies, checkin.encode_reply, checkin.parse_reply),
    "challenge": (challenges, encode_challenge, parse_challenge),
    "problem": (problems, encode_problem, parse_problem),
}


@FAST
@pytest.mark.parametrize("kind", MESSAGES)
@given(data=st.data())
def test_message_round_trip(kind: str, data: st.DataObject):
    messages, encode, parse = MESSAGES[kind]
    message = data.draw(messages)
    encoded = encode(message)
    assert parse(encoded) == message
    assert cbor.encode(cbor.decode(encoded, what="test", limit=len(encoded))) == encoded


# -- every byte of an accepted request ------------------------------------------------------------------------

GOOD = release(1)
REFERENCE = ReferenceValues([component.reference("mt3620", "26.11") for component in GOOD])
DEVICE = Prover(uds=b"u" * 32, components=GOOD)
CLIENT = cose.spki_from_point(cose.point_of(alias_key(b"c" * 32).public_key()))
CHALLENGE = ch.mint(b"k" * 32, now=NOW, random=b"r" * 16, peer_key=DEVICE.peer_key)
IMAGE = checkin.InstalledImage(
    component_id=UUID(int=1), image_id=UUID(int=2), image_type=10, name="coffee", state="running"
)
ACCEPTED = checkin.encode_request(DEVICE.request(CHALLENGE, CLIENT, installed=(IMAGE,)))


def judge(data: bytes, memory: AppraisalMemory | None = None) -> Appraisal:
    return appraise(
        checkin.parse_request(data),
        enrolment=DEVICE.enrolment(),
        reference=REFERENCE,
        peer_key=DEVICE.peer_key,
        challenge_key=b"k" * 32,
        now=NOW + 1,
        service_name="localhost",
        memory=memory,
    )


KEPT = ch.mint(b"k" * 32, now=NOW, random=b"s" * 16, peer_key=DEVICE.peer_key, in_reply=True)
SHOWING = checkin.encode_request(DEVICE.request(CHALLENGE, CLIENT, installed=(IMAGE,), lineage=KEPT))

CHANGES = (0x01, 0x80, 0xFF)


@pytest.mark.parametrize("remember", [False, True])
@pytest.mark.parametrize("accepted", [ACCEPTED, SHOWING], ids=["answers a reply", "shows a lineage"])
def test_no_byte_of_an_accepted_request_can_change(accepted: bytes, remember: bool):
    """Each byte, one change (three in the long run): refused, or not attested. With and without what was remembered."""
    memory = AppraisalMemory() if remember else None
    assert judge(accepted, memory).verdict == "attested"
    survivors = []
    for at in range(len(accepted)):
        for change in CHANGES if is_long() else CHANGES[at % 3 : at % 3 + 1]:
            mutant = bytearray(accepted)
            mutant[at] ^= change
            try:
                verdict = judge(bytes(mutant), memory).verdict
            except ArmillaryError:
                continue
            if verdict == "attested":
                survivors.append((at, change))
    assert survivors == []


@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_no_cut_or_insertion_survives(data: st.DataObject):
    start = data.draw(st.integers(0, len(ACCEPTED)))
    end = data.draw(st.integers(start, len(ACCEPTED)))
    mutant = ACCEPTED[:start] + data.draw(st.binary(max_size=8)) + ACCEPTED[end:]
    if mutant == ACCEPTED:
        return
    try:
        appraisal = judge(mutant)
    except ArmillaryError:
        return
    assert appraisal.verdict != "attested"


@FAST
@given(directives)
def test_directive_round_trip(directive: Directive):
    data = encode_directive(directive, KEY, KEY_ID)
    assert directive_of(data) == directive


@settings(max_examples=examples(150), deadline=None)
@given(directives, st.data())
def test_no_changed_byte_of_a_directive_is_taken(directive: Directive, data: st.DataObject):
    signed = bytearray(encode_directive(directive, KEY, KEY_ID))
    signed[data.draw(st.integers(0, len(signed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(WireError):
        directive_of(bytes(signed))


@settings(max_examples=examples(60), deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_refused(data: bytes):
    for parse in (
        checkin.parse_request,
        checkin.parse_reply,
        evidence.parse_evidence,
        evidence.parse_endorsement,
        parse_directive,
    ):
        with pytest.raises(WireError):
            parse(data)

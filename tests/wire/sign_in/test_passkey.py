# SPDX-License-Identifier: Apache-2.0
"""Answers of passkeys: one that is right, and every way in which one is not; each differs from it in one thing."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.authenticator import ATTESTED, PRESENT, VERIFIED, Authenticator
from tests.fixtures.effort import examples

from armillary.errors import ConflictError
from armillary.wire.encoding.base64url import to_base64url
from armillary.wire.sign_in import passkey
from armillary.wire.sign_in.faults import SignInRefusedError
from armillary.wire.sign_in.passkey import KnownKey, Party, party_of, verify_assertion, verify_registration

PARTY = Party("console.example", "https://console.example")
CHALLENGE, USER = bytes(range(32)), b"user of the token"
CREATION = passkey.creation_options(PARTY, CHALLENGE, user_id=USER, user_name="ann", known=[])
OTHER = Authenticator(PARTY.origin, PARTY.rp_id)

# What is wrong -> the step that says so.
COMMON: dict[str, tuple[dict[str, Any], int]] = {
    "another challenge": ({"challenge": to_base64url(bytes(32))}, 3),
    "a challenge that is no text": ({"challenge": ["\ud800"]}, 3),
    "another origin": ({"origin": "https://evil.example"}, 4),
    "this host without TLS": ({"origin": "http://console.example"}, 4),
    "this host at another port": ({"origin": "https://console.example:8443"}, 4),
    "a host below": ({"origin": "https://evil.console.example"}, 4),
    "a frame of another site": ({"cross_origin": True}, 4),
    "a passkey of another site": ({"rp_id": "evil.example"}, 5),
    "nobody touched it": ({"without": PRESENT}, 6),
    "nobody was verified": ({"without": VERIFIED}, 7),
}
ASSERTIONS = COMMON | {
    "the answer of a registration": ({"kind": "webauthn.create"}, 2),
    "another user": ({"user": b"user of another token"}, 9),
    "a signature of another key": ({"key": OTHER.key}, 10),
    "a count that stays": ({"count": 7}, 11),
    "a count that goes back": ({"count": 1}, 11),
    "a count that is gone": ({"count": 0}, 11),
}
REGISTRATIONS = COMMON | {
    "the answer of a sign-in": ({"kind": "webauthn.get"}, 2),
    "no key": ({"without": ATTESTED}, 1),  # what follows cannot be read
    "a point that is not on the curve": ({"cose": {-2: bytes(32)}}, 8),
    "an algorithm that is not accepted": ({"cose": {3: -65535}}, 8),
    "an algorithm that does not fit the key": ({"cose": {3: -257}}, 8),
    "another curve": ({"cose": {-1: 2}}, 8),
    "an RSA key of 512 bits": ({"cose": {1: 3, 3: -257, -1: b"\x81" * 64, -2: b"\x01\x00\x01"}}, 8),
    "an RSA key with an endless exponent": ({"cose": {1: 3, 3: -257, -1: b"\x81" * 256, -2: b"\x81" * 256}}, 8),
}


def registered() -> tuple[Authenticator, KnownKey]:
    key = Authenticator(PARTY.origin, PARTY.rp_id)
    return key, verify_registration(key.create(CREATION), PARTY, CHALLENGE)


def assertion(known: KnownKey, answer: str) -> tuple[KnownKey, int]:
    return verify_assertion(answer, PARTY, CHALLENGE, known=[known], user_id=USER)


def test_a_right_answer_registers_and_another_signs_in() -> None:
    key, known = registered()
    options = passkey.request_options(PARTY, CHALLENGE, [known.credential_id])
    assert options["userVerification"] == "required"
    assert options["allowCredentials"] == [{"type": "public-key", "id": to_base64url(key.credential_id)}]
    assert assertion(known, key.get(options)) == (known, 1)
    assert assertion(known, key.get(options, user=b"")) == (known, 2)  # a key that keeps no user
    assert assertion(known, key.get(options, count=0)) == (known, 0)  # one that does not count


@pytest.mark.parametrize("what", ASSERTIONS)
def test_a_wrong_assertion_is_refused_by_its_step(what: str) -> None:
    key, known = registered()
    wrong, step = ASSERTIONS[what]
    known = dataclasses.replace(known, sign_count=7)
    key.count = 7
    options = passkey.request_options(PARTY, CHALLENGE, [known.credential_id])
    with pytest.raises(SignInRefusedError, match=rf"^passkey, step {step}:"):
        assertion(known, key.get(options, **wrong))
    key.count = 7
    assert assertion(known, key.get(options)) == (known, 8)


@pytest.mark.parametrize("what", REGISTRATIONS)
def test_a_wrong_registration_is_refused_by_its_step(what: str) -> None:
    wrong, step = REGISTRATIONS[what]
    with pytest.raises(SignInRefusedError, match=rf"^passkey, step {step}:"):
        verify_registration(Authenticator(PARTY.origin, PARTY.rp_id).create(CREATION, **wrong), PARTY, CHALLENGE)


def test_a_key_that_is_not_registered_is_refused_though_it_signs_well() -> None:
    _, known = registered()
    other, _ = registered()
    options = passkey.request_options(PARTY, CHALLENGE, [known.credential_id])
    with pytest.raises(SignInRefusedError, match="step 8: this passkey is not registered for the token"):
        assertion(known, other.get(options))
    other.credential_id = known.credential_id
    with pytest.raises(SignInRefusedError, match="step 10"):
        assertion(known, other.get(options))


@pytest.mark.parametrize(
    ("address", "party"),
    [
        ("https://Console.example", PARTY),
        ("https://console.example:443", PARTY),
        ("https://localhost:8443", Party("localhost", "https://localhost:8443")),
    ],
)
def test_the_party_is_that_of_the_configured_address(address: str, party: Party) -> None:
    assert party_of(address) == party


@pytest.mark.parametrize("address", ["https://10.0.0.7:8443", "https://[fe80::1]"])
def test_an_address_without_a_name_has_no_passkeys(address: str) -> None:
    with pytest.raises(ConflictError, match="passkeys need a host name"):
        party_of(address)


@pytest.mark.parametrize("answer", ["", "{}", "[]", "[" * 9000, "x" * 20_000, '{"type": "public-key", "response": {}}'])
def test_what_is_no_answer_is_refused(answer: str) -> None:
    _, known = registered()
    for verify in (lambda: assertion(known, answer), lambda: verify_registration(answer, PARTY, CHALLENGE)):
        with pytest.raises(SignInRefusedError, match="step 1"):
            verify()


KEY, KNOWN = registered()
ANSWERS = [json.loads(each) for each in (KEY.create(CREATION), KEY.get({"challenge": to_base64url(CHALLENGE)}))]
PARTS = [(answer, name) for answer in ANSWERS for name in answer["response"] if name != "clientDataJSON"]


@given(part=st.sampled_from(PARTS), at=st.floats(0, 1, exclude_max=True), new=st.text(max_size=3))
@settings(max_examples=examples(150), deadline=None)
def test_any_change_is_refused_with_one_error(part: tuple[dict[str, Any], str], at: float, new: str) -> None:
    made, name = part
    text = made["response"][name]
    position = int(at * len(text))
    changed = {**made["response"], name: text[:position] + new + text[position + 1 :]}
    answer = json.dumps({**made, "response": changed})
    for verify in (lambda: assertion(KNOWN, answer), lambda: verify_registration(answer, PARTY, CHALLENGE)):
        with contextlib.suppress(SignInRefusedError):
            verify()


@given(answer=st.text(max_size=100))
@settings(max_examples=examples(30), deadline=None)
def test_any_text_is_refused(answer: str) -> None:
    with pytest.raises(SignInRefusedError):
        verify_registration(answer, PARTY, CHALLENGE)

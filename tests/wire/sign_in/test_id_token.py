# SPDX-License-Identifier: Apache-2.0
"""ID tokens: one that is right, and every way in which one is not; each attack differs from the right one in one thing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings, strategies as st
from joserfc import jwk, jws
from tests.fixtures.effort import examples

from armillary.errors import ArmillaryError
from armillary.wire.sign_in.faults import SignInRefusedError, UnknownKeyError
from armillary.wire.sign_in.id_token import CLOCK_SKEW_S, MAX_AGE_S, Expected, verify_id_token
from armillary.wire.sign_in.metadata import MAX_KEYS, ProviderKey, parse_key_set

NOW = 1_800_000_000
EXPECTED = Expected(issuer="https://login.example", client_id="armillary", nonce="of-this-browser")
CLAIMS: dict[str, Any] = {
    "iss": "https://login.example", "aud": "armillary", "sub": "ann", "nonce": "of-this-browser",
    "iat": NOW - 5, "exp": NOW + 300,
}  # fmt: skip
RSA = rsa.generate_private_key(65537, 2048)
KEYS: dict[str, Any] = {
    "RS256": RSA, "PS256": RSA, "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()), "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}  # fmt: skip


def pem(key: Any) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def own(key: Any) -> Any:
    kinds = {
        rsa.RSAPrivateKey: jwk.RSAKey,
        ec.EllipticCurvePrivateKey: jwk.ECKey,
        ed25519.Ed25519PrivateKey: jwk.OKPKey,
    }
    return next(made for kind, made in kinds.items() if isinstance(key, kind)).import_key(pem(key))


def key_set(**named: Any) -> tuple[ProviderKey, ...]:
    keys = [{**own(key).as_dict(private=False), "kid": name} for name, key in named.items()]
    return parse_key_set(json.dumps({"keys": keys}).encode())


PUBLISHED = key_set(**{name: key for name, key in KEYS.items() if name != "PS256"})


def token(claims: dict[str, Any] = CLAIMS, algorithm: str = "ES256", key: Any = None, **header: Any) -> str:
    named = {"alg": algorithm, "kid": "RS256" if algorithm == "PS256" else algorithm, **header}
    named = {name: value for name, value in named.items() if value is not None}
    signer = own(key or KEYS[algorithm])
    return jws.serialize_compact(named, json.dumps(claims), signer, algorithms=[algorithm])


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def refused(given_token: str, step: int, keys: tuple[ProviderKey, ...] = PUBLISHED) -> None:
    with pytest.raises(SignInRefusedError, match=rf"^ID token, step {step}: "):
        verify_id_token(given_token, keys, EXPECTED, now=NOW)


@pytest.mark.parametrize("algorithm", sorted(KEYS))
def test_a_right_one_is_taken_with_each_kind_of_key(algorithm: str) -> None:
    assert verify_id_token(token(algorithm=algorithm), PUBLISHED, EXPECTED, now=NOW) == CLAIMS


def test_one_without_a_key_id_is_taken_where_one_key_fits_and_refused_where_two_do() -> None:
    unnamed = token(kid=None)
    assert verify_id_token(unnamed, PUBLISHED, EXPECTED, now=NOW) == CLAIMS
    refused(unnamed, 3, (*PUBLISHED, *key_set(other=KEYS["ES256"])))


def test_algorithm_none_and_a_mac_keyed_with_the_public_key_are_refused() -> None:
    refused(f"{part({'alg': 'none', 'kid': 'RS256'})}.{part(CLAIMS)}.", 2)
    head = f"{part({'alg': 'HS256', 'kid': 'RS256'})}.{part(CLAIMS)}"
    public = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    mac = base64.urlsafe_b64encode(hmac.digest(public, head.encode(), hashlib.sha256)).rstrip(b"=").decode()
    refused(f"{head}.{mac}", 2)


def test_a_key_that_nobody_published_is_unknown_and_one_of_another_kind_is_not_used() -> None:
    with pytest.raises(UnknownKeyError):
        verify_id_token(token(kid="other"), PUBLISHED, EXPECTED, now=NOW)
    with pytest.raises(UnknownKeyError):  # the id is there, for another algorithm
        verify_id_token(token(kid="RS256"), PUBLISHED, EXPECTED, now=NOW)
    mine = ec.generate_private_key(ec.SECP256R1())
    refused(token(key=mine), 4)
    refused(token(key=mine, jwk=own(mine).as_dict(private=False)), 4)  # a key that the token brings


def test_a_changed_payload_and_a_critical_header_are_refused() -> None:
    head, _, signature = token().split(".")
    refused(f"{head}.{part({**CLAIMS, 'sub': 'bob'})}.{signature}", 4)
    right = token()
    header = json.loads(base64.urlsafe_b64decode(right.split(".")[0] + "=="))
    assert "crit" not in header
    refused(f"{part({**header, 'crit': ['b64'], 'b64': False})}.{right.split('.')[1]}.{signature}", 4)
    for critical in (None, 5, "", [], ["alg"]):
        refused(f"{part({**header, 'crit': critical})}.{right.split('.')[1]}.{signature}", 4)


@pytest.mark.parametrize(
    ("changed", "step"),
    [
        ({"iss": "https://evil.example"}, 5),
        ({"iss": "https://login.example/"}, 5),
        ({"aud": "another-client"}, 6),
        ({"aud": ["another-client"]}, 6),
        ({"aud": ["armillary", "another-client"]}, 6),
        ({"aud": ["armillary", "another-client"], "azp": "another-client"}, 6),
        ({"azp": "another-client"}, 6),
        ({"exp": NOW - CLOCK_SKEW_S}, 7),
        ({"exp": None}, 7),
        ({"exp": True}, 7),
        ({"exp": float("inf")}, 7),
        ({"iat": None}, 7),
        ({"iat": NOW + CLOCK_SKEW_S + 1}, 7),
        ({"iat": NOW - MAX_AGE_S - CLOCK_SKEW_S - 1}, 7),
        ({"nbf": NOW + CLOCK_SKEW_S + 1}, 7),
        ({"nonce": "of-another-browser"}, 8),
        ({"nonce": None}, 8),
        ({"sub": ""}, 9),
        ({"sub": "a" * 256}, 9),
        ({"sub": "аnn"}, 9),  # noqa: RUF001 - a letter that looks alike
        ({"sub": None}, 9),
    ],
)
def test_claims_of_others_are_refused(changed: dict[str, Any], step: int) -> None:
    refused(token({**CLAIMS, **changed}), step)


def test_clocks_may_be_apart_by_the_skew_and_no_more() -> None:
    for changed in ({"exp": NOW - CLOCK_SKEW_S + 1}, {"iat": NOW + CLOCK_SKEW_S}, {"aud": ["armillary"]}):
        assert verify_id_token(token({**CLAIMS, **changed}), PUBLISHED, EXPECTED, now=NOW)["sub"] == "ann"


def test_an_access_token_of_somebody_else_is_refused() -> None:
    half = hashlib.sha256(b"access").digest()[:16]
    claims = {**CLAIMS, "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode()}
    assert verify_id_token(token(claims), PUBLISHED, EXPECTED, now=NOW, access_token="access") == claims
    with pytest.raises(SignInRefusedError, match="step 10"):
        verify_id_token(token(claims), PUBLISHED, EXPECTED, now=NOW, access_token="another")


def test_a_set_gives_no_key_that_could_be_broken_and_none_that_is_for_something_else() -> None:
    small = own(rsa.generate_private_key(65537, 1024)).as_dict(private=False)  # noqa: S505 - that is refused here
    right = own(KEYS["ES256"]).as_dict(private=False)
    others = [
        small, {**right, "use": "enc"}, {**right, "key_ops": ["encrypt"]}, {**right, "alg": "HS256"},
        {"kty": "oct", "k": "AAAA"}, {**right, "x": 5}, {"kty": ["RSA"]}, "text", None,
    ]  # fmt: skip
    found = parse_key_set(json.dumps({"keys": [*others, right]}).encode())
    assert [each.jwk for each in found] == [{name: right[name] for name in ("kty", "crv", "x", "y")}]
    with pytest.raises(ArmillaryError, match=f"at most {MAX_KEYS}"):
        parse_key_set(json.dumps({"keys": [right] * (MAX_KEYS + 1)}).encode())


@settings(max_examples=examples(60), deadline=None)
@given(st.one_of(st.text("ab.=-_ é", max_size=40), st.just("a.b.c")))
def test_whatever_is_no_token_is_refused_and_never_a_crash(text: str) -> None:
    with pytest.raises(ArmillaryError):
        verify_id_token(text, PUBLISHED, EXPECTED, now=NOW)


HEADERS = st.dictionaries(
    st.sampled_from(["alg", "kid", "crit", "jwk", "x5c", "typ", "b64"]),
    st.one_of(st.sampled_from(["ES256", "none", "RS256"]), st.none(), st.integers(), st.lists(st.text(), max_size=2)),
)


@settings(max_examples=examples(60), deadline=None)
@given(HEADERS, st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.none())), st.binary(max_size=70))
def test_no_made_up_token_is_taken(header: dict[str, Any], claims: dict[str, Any], signature: bytes) -> None:
    made = f"{part(header)}.{part(claims)}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    with pytest.raises(ArmillaryError):
        verify_id_token(made, PUBLISHED, EXPECTED, now=NOW)

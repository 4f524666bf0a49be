# SPDX-License-Identifier: Apache-2.0
"""A successor is taken for its predecessor's signature and for nothing else."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, strategies as st

from armillary.errors import SignatureError, WireError
from armillary.wire.certificates import certificate as profile, certificate_part as part, trust_anchor
from armillary.wire.certificates.trust_anchor import Anchor
from armillary.wire.encoding import cose

NOW = 1_790_000_000
LIFE = {"not_before": NOW - 300, "not_after": NOW + 1_000_000}
KEYS = [ec.derive_private_key(number, ec.SECP384R1()) for number in range(3, 8)]


def root(number: int, **options: Any) -> x509.Certificate:
    return profile.build_root_authority(KEYS[number], name=f"Root {number}", serial=number + 1, **{**LIFE, **options})


ROOTS = [root(number) for number in range(4)]


def voucher(old: int, new: x509.Certificate, **life: int) -> bytes:
    made = trust_anchor.build_voucher(ROOTS[old], KEYS[old], new, serial=50, **{**LIFE, **life})
    return der(made)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def anchor(number: int, *vouchers: bytes) -> Anchor:
    return Anchor(der(ROOTS[number]), vouchers)


def accepted(*anchors: Anchor, now: int = NOW) -> list[x509.Certificate]:
    """What a device that pins root 0 takes, after the message went over the wire."""
    sent = trust_anchor.parse_anchors(trust_anchor.encode_anchors(anchors))
    return trust_anchor.accepted(ROOTS[:1], sent, now=now)


def test_a_successor_is_accepted_and_through_it_the_next_one() -> None:
    assert accepted(anchor(0)) == ROOTS[:1]
    assert accepted(anchor(0), anchor(1, voucher(0, ROOTS[1]))) == ROOTS[:2]
    two = anchor(1, voucher(0, ROOTS[1])), anchor(2, voucher(1, ROOTS[2]))
    assert accepted(*two) == ROOTS[:3]  # also where the pinned one is not named any more
    assert accepted(anchor(2, voucher(1, ROOTS[2]), voucher(0, ROOTS[2]))) == [ROOTS[0], ROOTS[2]]


def test_a_voucher_is_a_link_that_openssl_and_cryptography_follow() -> None:
    made = x509.load_der_x509_certificate(voucher(0, ROOTS[1]))
    made.verify_directly_issued_by(ROOTS[0])
    assert made.subject == ROOTS[1].subject
    assert made.public_key() == ROOTS[1].public_key()


def under(number: int, build: Any, **options: Any) -> x509.Certificate:
    """A lesser authority of root 0, on the key of a thief who has its private key."""
    return build(ROOTS[0], KEYS[0], KEYS[number].public_key(), serial=9, **LIFE, **options)


def old_policy(*arguments: Any, **options: Any) -> x509.Certificate:
    """As data folders of before have it: without limits to what it signs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(part, "devices_only", list)
        return profile.build_policy_authority(*arguments, **options)


def as_root_of(lesser: x509.Certificate, number: int) -> x509.Certificate:
    """A self-signed root with the name and key of a lesser authority: what its thief can make."""
    return part.build_authority(
        KEYS[number], None, KEYS[number].public_key(), lesser.subject, 77, (NOW - 300, NOW + 9), path_length=None
    )


REFUSED: dict[str, Anchor] = {
    "nobody vouches": anchor(1),
    "vouches for itself": anchor(1, der(ROOTS[1])),
    "vouched for by a stranger": anchor(1, voucher(2, ROOTS[1])),
    "another root's voucher": anchor(1, voucher(0, ROOTS[2])),
    "a voucher for another key of this name": anchor(
        1, voucher(0, profile.build_root_authority(KEYS[3], name="Root 1", serial=5, **LIFE))
    ),
    "a voucher that has ended": anchor(1, voucher(0, ROOTS[1], not_after=NOW - 1)),
    "a voucher of the future": anchor(1, voucher(0, ROOTS[1], not_before=NOW + 1)),
    "nobody signed it itself": Anchor(voucher(0, ROOTS[1]), (voucher(0, ROOTS[1]),)),
}
for name, lesser in {
    "policy authority": under(4, profile.build_policy_authority),
    "policy authority of before": under(4, old_policy),
    "catalog authority": under(4, profile.build_catalog_authority, catalog_id=UUID(int=1)),
    "server": profile.build_server_certificate(
        ROOTS[0], KEYS[0], KEYS[4].public_key(), hosts=["localhost"], serial=9, **LIFE
    ),
    "signing certificate": profile.build_signing_certificate(
        ROOTS[0], KEYS[0], KEYS[4].public_key(), name="OS", serial=9, **LIFE
    ),
}.items():
    rogue = as_root_of(lesser, 4)
    REFUSED[f"the certificate of a {name} as the voucher of a root that its thief made"] = Anchor(
        der(rogue), (der(lesser),)
    )
    REFUSED[f"a voucher that the thief of a {name} signed"] = Anchor(
        der(ROOTS[1]), (der(trust_anchor.build_voucher(lesser, KEYS[4], ROOTS[1], serial=9, **LIFE)),)
    )


@pytest.mark.parametrize("attack", REFUSED)
def test_nothing_else_makes_a_root(attack: str) -> None:
    assert accepted(REFUSED[attack]) == ROOTS[:1]
    assert accepted(REFUSED[attack], anchor(2, voucher(0, ROOTS[2]))) == [ROOTS[0], ROOTS[2]]


def test_mutation_of_the_rights_a_stolen_policy_authority_plants_a_root(monkeypatch: pytest.MonkeyPatch) -> None:
    attack = REFUSED["the certificate of a policy authority of before as the voucher of a root that its thief made"]
    monkeypatch.setattr(trust_anchor, "_rights", lambda _: set())
    assert len(accepted(attack)) == 2


def test_mutation_of_the_signature_anybody_plants_a_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust_anchor, "_signed", lambda *_: True)
    assert accepted(REFUSED["vouched for by a stranger"]) == ROOTS[:2]


GENUINE = trust_anchor.encode_anchors([anchor(0), anchor(1, voucher(0, ROOTS[1]))])


@given(st.integers(0, len(GENUINE) - 1), st.integers(1, 255))
def test_a_changed_byte_makes_no_other_root(position: int, change: int) -> None:
    damaged = bytearray(GENUINE)
    damaged[position] ^= change
    try:
        found = trust_anchor.accepted(ROOTS[:1], trust_anchor.parse_anchors(bytes(damaged)), now=NOW)
    except WireError:
        return
    assert found in (ROOTS[:1], ROOTS[:2])


@pytest.mark.parametrize(
    "damaged", [b"", b"\x80", b"\x82\x02\x81\x82\x40\x80", b"\x82\x01\x80", b"\x82\x01\x81\x80", GENUINE + b"\0"]
)
def test_what_is_no_message_is_one_error(damaged: bytes) -> None:
    with pytest.raises(WireError):
        trust_anchor.parse_anchors(damaged)


def test_more_anchors_than_fit_are_the_newest() -> None:
    many = [Anchor(bytes((number,)) * 600) for number in range(20)]
    assert trust_anchor.parse_anchors(trust_anchor.encode_anchors(many)) == tuple(many[-trust_anchor.MAX_ANCHORS :])


# -- identity certificates ----------------------------------------------------------------------------------------

MAKERS = [ec.derive_private_key(number, ec.SECP256R1()) for number in (11, 12)]
SILICON = [
    profile.build_silicon_authority(key, maker="Maker", serial=number + 1, **LIFE) for number, key in enumerate(MAKERS)
]
DEVICES = [cose.point_of(ec.derive_private_key(number, ec.SECP256R1()).public_key()).hex() for number in (13, 14)]


def identity(maker: int, device: int = 0, *, ends: int = NOW + 1000) -> x509.Certificate:
    return profile.build_identity_certificate(
        SILICON[maker], MAKERS[maker], device_id=DEVICES[device], serial=9, not_before=NOW - 300, not_after=ends
    )


PRESENT = identity(0, ends=NOW + 500)
SUCCESSION = [
    Anchor(der(SILICON[0])),
    Anchor(der(SILICON[1]), (der(trust_anchor.build_voucher(SILICON[0], MAKERS[0], SILICON[1], serial=7, **LIFE)),)),
]


def verified(new: x509.Certificate, anchors: list[Anchor]) -> x509.Certificate:
    sent = trust_anchor.parse_identity(trust_anchor.encode_identity(der(new), anchors))
    return trust_anchor.verify_identity(PRESENT, sent, now=NOW)


def test_an_identity_certificate_of_the_present_issuer_or_its_successor_is_accepted() -> None:
    for maker, anchors in ((1, SUCCESSION), (0, SUCCESSION[:1])):
        found = verified(identity(maker), anchors)
        assert profile.parse_identity_certificate(der(found)).device_id == DEVICES[0]
        assert found.not_valid_after_utc > PRESENT.not_valid_after_utc


@pytest.mark.parametrize(
    ("new", "anchors", "error"),
    [
        (identity(1), [SUCCESSION[0], Anchor(der(SILICON[1]))], SignatureError),  # nobody vouches
        (identity(1), SUCCESSION[1:], SignatureError),  # nobody it leads to is there
        (identity(1, 1), SUCCESSION, WireError),  # another device's
        (identity(1, ends=NOW + 500), SUCCESSION, WireError),  # ends no later
        (ROOTS[0], SUCCESSION, SignatureError),
    ],
)
def test_any_other_is_refused(new: x509.Certificate, anchors: list[Anchor], error: type[Exception]) -> None:
    with pytest.raises(error):
        verified(new, anchors)


@pytest.mark.parametrize("damaged", [b"", b"\x83\x02\x40\x81\x82\x40\x80", b"\x83\x01\x40\x80", GENUINE])
def test_what_is_no_identity_message_is_one_error(damaged: bytes) -> None:
    with pytest.raises(WireError):
        trust_anchor.parse_identity(damaged)

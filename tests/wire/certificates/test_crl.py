# SPDX-License-Identifier: Apache-2.0
"""Revocation lists: what is put in comes out, signed, by any number and any reason."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.certificates import certificate as profile, crl
from armillary.wire.encoding.pem import armour

NOW = 1_795_478_400
KEYS = {curve.name: ec.derive_private_key(7, curve) for curve in (ec.SECP256R1(), ec.SECP384R1())}
AUTHORITIES = {
    name: profile.build_root_authority(key, name="Test CA", serial=1, not_before=NOW - 300, not_after=NOW + 86_400)
    for name, key in KEYS.items()
}
REASONS = [
    one for one in x509.ReasonFlags if one not in (x509.ReasonFlags.unspecified, x509.ReasonFlags.remove_from_crl)
]
ENTRIES = st.lists(
    st.builds(
        crl.Revoked,
        serial=st.integers(1, 2**159 - 1),
        revoked_at=st.integers(0, 4_000_000_000),
        reason=st.sampled_from(REASONS),
    ),
    max_size=6,
    unique_by=lambda one: one.serial,
)


@given(curve=st.sampled_from(sorted(KEYS)), number=st.integers(0, 2**159 - 1), revoked=ENTRIES)
def test_a_list_is_signed_and_says_what_it_was_given(curve: str, number: int, revoked: list[crl.Revoked]) -> None:
    key, authority = KEYS[curve], AUTHORITIES[curve]
    der = crl.build_revocation_list(
        authority, key, number=number, this_update=NOW, next_update=NOW + 60, revoked=revoked
    )
    parsed = x509.load_der_x509_crl(der)
    assert parsed.is_signature_valid(key.public_key())
    assert not parsed.is_signature_valid(ec.derive_private_key(8, key.curve).public_key())
    assert parsed.issuer == authority.subject
    assert parsed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == number
    assert crl.revoked_in(der) == frozenset(revoked)
    assert x509.load_pem_x509_crl(armour("X509 CRL", der)) == parsed


def test_limits() -> None:
    key, authority = KEYS["secp256r1"], AUTHORITIES["secp256r1"]
    for number in (-1, 1 << 159):
        with pytest.raises(ValueError, match="number"):
            crl.build_revocation_list(authority, key, number=number, this_update=0, next_update=1, revoked=[])
    with pytest.raises(ValueError, match="update"):
        crl.build_revocation_list(authority, key, number=1, this_update=NOW, next_update=NOW - 1, revoked=[])


@given(st.binary(max_size=200))
def test_garbage_is_one_error(data: bytes) -> None:
    with pytest.raises(WireError):
        crl.revoked_in(data)

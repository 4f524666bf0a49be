# SPDX-License-Identifier: Apache-2.0
"""COSE working group examples (github.com/cose-wg/Examples): every Sign1 vector, accepted, refused, or a deviation.

Deviations from the suite, each on purpose (wire/encoding/cose.py says why):

- ``sign-pass-03`` has no CBOR tag; here tag 18 is required.
- ``ecdsa-sig-02``, ``-03`` (P-384, P-521) and ``-04`` (P-256 with SHA-512) use algorithms other than ES256,
  the only one here.
"""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.conformance.foreign_vectors import VECTORS, needs

from armillary.errors import SignatureError, WireError
from armillary.wire.encoding import cose

FOLDER = VECTORS / "cose"
pytestmark = needs(FOLDER)

ACCEPTED = ("ecdsa-sig-01", "sign-pass-01", "sign-pass-02")
REFUSED = ("sign-fail-01", "sign-fail-02", "sign-fail-03", "sign-fail-04", "sign-fail-06", "sign-fail-07")
DEVIATIONS = {
    "sign-pass-03": "tag 18",
    "ecdsa-sig-02": "ES256|64 bytes",
    "ecdsa-sig-03": "ES256|64 bytes",
    "ecdsa-sig-04": "ES256",
}


def load(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text())


def message(vector: dict) -> bytes:
    return bytes.fromhex(vector["output"]["cbor"])


def external(vector: dict) -> bytes:
    return bytes.fromhex(vector["input"]["sign0"].get("external", ""))


def public_key(vector: dict) -> ec.EllipticCurvePublicKey:
    key = vector["input"]["sign0"]["key"]
    return cose.public_key(b"".join(base64.urlsafe_b64decode(key[axis] + "==") for axis in ("x", "y")))


def test_every_vector_is_accounted_for():
    assert {path.stem for path in FOLDER.glob("*.json")} == {*ACCEPTED, *REFUSED, *DEVIATIONS}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str):
    vector = load(name)
    assert not vector.get("fail")
    parsed = cose.parse_sign1(message(vector))
    payload = cose.verify_sign1(parsed, public_key(vector), external_aad=external(vector))
    assert payload == vector["input"]["plaintext"].encode()


@pytest.mark.parametrize("name", [*ACCEPTED, "sign-pass-03"])
def test_what_is_signed_is_what_the_suite_says(name: str):
    vector = load(name)
    data = message(vector)
    parsed = cose.parse_sign1(data if data[0] == 0xD2 else b"\xd2" + data)
    protected = b"" if parsed.protected == b"\xa0" else parsed.protected
    structure = cose._sig_structure(protected, external(vector), parsed.payload)
    assert structure.hex().upper() == vector["intermediates"]["ToBeSign_hex"].upper()


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str):
    vector = load(name)
    assert vector["fail"]
    with pytest.raises(WireError):
        cose.verify_sign1(cose.parse_sign1(message(vector)), public_key(vector), external_aad=external(vector))


@pytest.mark.parametrize("name", ["sign-fail-02", "sign-fail-06", "sign-fail-07"])
def test_well_formed_forgeries_fail_at_the_signature(name: str):
    """The refusals above are not all for form: these parse, and only the signature gives them away."""
    vector = load(name)
    with pytest.raises(SignatureError, match="does not verify"):
        cose.verify_sign1(cose.parse_sign1(message(vector)), public_key(vector))


@pytest.mark.parametrize("name", DEVIATIONS)
def test_recorded_deviations(name: str):
    vector = load(name)
    assert not vector.get("fail"), "the suite accepts it"
    with pytest.raises(WireError, match=DEVIATIONS[name]):
        cose.parse_sign1(message(vector))


def test_the_untagged_vector_is_otherwise_right():
    vector = load("sign-pass-03")
    parsed = cose.parse_sign1(b"\xd2" + message(vector))
    assert cose.verify_sign1(parsed, public_key(vector)) == vector["input"]["plaintext"].encode()

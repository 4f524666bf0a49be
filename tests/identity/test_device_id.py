# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.errors import WireError
from armillary.identity import device_id as ids
from armillary.identity.dice import identity_key

KEY = identity_key(b"u" * 32).public_key()
ID = ids.device_id_of_key(KEY)


def test_id_is_the_key():
    assert len(ID) == 128
    numbers = KEY.public_numbers()
    assert f"{numbers.x:064x}{numbers.y:064x}" == ID
    assert ids.key_of_device_id(ID).public_numbers() == numbers
    assert ids.device_id_bytes(ID).hex() == ids.parse_device_id(ID) == ID
    spki = KEY.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert ids.spki_of_device_id(ID) == spki


@pytest.mark.parametrize("text", ["", ID.upper(), ID[:-1], ID + "0", " " + ID[1:], "g" * 128, "\u0660" * 128])
def test_one_spelling(text: str):
    for read in (ids.parse_device_id, ids.device_id_bytes, ids.key_of_device_id, ids.spki_of_device_id):
        with pytest.raises(WireError, match="device id"):
            read(text)


def test_an_id_that_is_no_point():
    with pytest.raises(WireError, match="curve"):
        ids.key_of_device_id("01" * 64)


def test_other_curve_has_no_id():
    with pytest.raises(WireError):
        ids.device_id_of_key(ec.generate_private_key(ec.SECP384R1()).public_key())

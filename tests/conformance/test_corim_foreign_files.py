# SPDX-License-Identifier: Apache-2.0
"""CoRIM files that another implementation wrote: which are read, and by what name the others are refused.

Set ARMILLARY_CORIM_DIR to a checkout of veraison/corim. Nothing of it is copied here.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from armillary.errors import WireError
from armillary.wire.attestation import corim

CHECKOUT = Path(os.environ.get("ARMILLARY_CORIM_DIR") or "/nonexistent")
pytestmark = pytest.mark.skipif(
    not (CHECKOUT / "corim" / "testcases").is_dir(),
    reason="foreign CoRIM files are absent: set ARMILLARY_CORIM_DIR to a checkout of veraison/corim",
)

READ = {
    "corim/testcases/corim-1.cbor": 1,
    "corim/testcases/signed-good-corim.cbor": 3,
    "corim/testcases/unsigned-good-corim.cbor": 3,
    "profiles/cca/testcases/cca-realm-invalid-missing-rim.cbor": 1,  # what a profile demands is not judged here
    "profiles/cca/testcases/cca-realm-invalid-rim-size.cbor": 1,
}
# What an operator has to vouch for first.
WAIVED = {
    "corim/testcases/signed-corim-with-extensions.cbor": ("key -1", 3),
    "corim/testcases/signed-example-corim.cbor": ("key -1", 3),
    "corim/testcases/unsigned-corim-with-extensions.cbor": ("key -1", 3),
    "corim/testcases/unsigned-example-corim.cbor": ("key -1", 3),
    "profiles/cca/testcases/cca-platform-invalid-impl-id.cbor": ("cryptokeys", 1),
    "profiles/cca/testcases/cca-platform-valid.cbor": ("cryptokeys", 2),
    "profiles/cca/testcases/no-profile.cbor": ("cryptokeys", 1),
    "profiles/psa/testcases/no-profile.cbor": ("cryptokeys", 1),
    "profiles/psa/testcases/psa-invalid-impl-id.cbor": ("cryptokeys", 1),
    "profiles/psa/testcases/psa-valid.cbor": ("cryptokeys", 1),
}
REFUSED = {
    "corim/testcases/corim-2.cbor": "index",
    "corim/testcases/corim-design-cd.cbor": "raw-value",
    "corim/testcases/corim-firmware-cd.cbor": "index",
    "corim/testcases/corim-roles.cbor": "with digests",
    "profiles/cca/testcases/cca-platform-invalid-digests.cbor": "cryptokeys",
    "profiles/cca/testcases/cca-realm-valid.cbor": "raw-value",
    "profiles/psa/testcases/psa-invalid-attest-key.cbor": "it holds profile .* 1 attest-key-triples",
}


def read(name: str, waived: frozenset[str] = frozenset()) -> corim.Corim:
    data = (CHECKOUT / name).read_bytes()
    if corim.is_signed(data):
        return corim.parse_signed_corim(data, waived=waived).corim
    return corim.parse_corim(data, waived=waived)


def test_every_file_is_accounted_for():
    folders = (CHECKOUT / "corim" / "testcases", *(CHECKOUT / "profiles").glob("*/testcases"))
    whole = (b"\xd9\x01\xf5", b"\xd2")  # of a CoRIM; the others are single CoMIDs
    names = {
        str(path.relative_to(CHECKOUT))
        for folder in folders
        for path in folder.glob("*.cbor")
        if path.read_bytes().startswith(whole)
    }
    assert names == {*READ, *WAIVED, *REFUSED}


@pytest.mark.parametrize("name", READ)
def test_a_foreign_file_is_read(name: str):
    found = read(name)
    assert len(found.components) == READ[name]
    assert corim.parse_corim(corim.encode_corim(found)) == found


@pytest.mark.parametrize("name", WAIVED)
def test_a_foreign_file_is_read_once_somebody_vouches_for_a_field(name: str):
    field, count = WAIVED[name]
    with pytest.raises(WireError, match=f"{field}, which does not fit"):
        read(name)
    assert len(read(name, frozenset({field})).components) == count


@pytest.mark.parametrize("name", REFUSED)
def test_a_foreign_file_is_refused_by_name(name: str):
    with pytest.raises(WireError, match=REFUSED[name]):
        read(name)

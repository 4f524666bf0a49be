# SPDX-License-Identifier: Apache-2.0
"""Which versions the OSes are that were attested here: what is damaged counts as none."""

from __future__ import annotations

from hashlib import sha256

import pytest
from tests.device.cut_flash import CutFlash

from armillary.device.boot.known_versions import REGION, known_version, remember_version
from armillary.update.install.record import OsVersion
from armillary.wire.encoding import cbor

DIGESTS = [bytes(32), b"\x01" * 32]
KEY = sha256(b"".join(DIGESTS)).digest()


@pytest.mark.parametrize(
    "damaged",
    [
        b"\xff",
        cbor.encode(7),
        cbor.encode([[1 << 40, "26.1", 0]]),  # as a length it is more than any memory
        cbor.encode([[-1, "26.1", 0]]),
        cbor.encode([["key", "26.1", 0]]),
        cbor.encode([[[1], "26.1", 0]]),
        cbor.encode([[bytes(32), "26.1"]]),
        cbor.encode([[KEY, "26.1", "9" * 30]]),  # as a number no record holds it
        cbor.encode([[KEY, "26.1", True]]),
        cbor.encode([[KEY, 26, 0]]),
    ],
)
def test_what_is_damaged_is_none_and_is_written_anew(damaged: bytes) -> None:
    flash = CutFlash({REGION: damaged})
    assert known_version(flash, DIGESTS) == OsVersion()
    remember_version(flash, DIGESTS, OsVersion("26.2", 3))
    assert known_version(flash, DIGESTS) == OsVersion("26.2", 3)

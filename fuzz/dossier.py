# SPDX-License-Identifier: Apache-2.0
"""Dossiers: any bytes are the one that was signed, or a WireError; an archive is written again the same."""

from __future__ import annotations

from tests.wire.dossier.test_dossier import GOOD, TRUSTED

from armillary.errors import WireError
from armillary.wire.dossier import archive, dossier as dossiers


def seeds() -> list[bytes]:
    return [GOOD, archive.encode({"a": b"", "b/c.json": b"{}"})]


def fuzz(data: bytes) -> None:
    try:
        assert archive.encode(archive.parse(data)) == data
        dossiers.verify(dossiers.parse(data), TRUSTED)
    except WireError:
        return
    assert data == GOOD

# SPDX-License-Identifier: Apache-2.0
"""What devices say of their modems: any bytes are a status that is written back the same, or a WireError."""

from __future__ import annotations

from tests.fixtures.cellular import SAID

from armillary.errors import WireError
from armillary.wire.device.cellular_status import encode_status, parse_status


def seeds() -> list[bytes]:
    return [encode_status(SAID)]


def fuzz(data: bytes) -> None:
    try:
        found = parse_status(data)
    except WireError:
        return
    assert encode_status(found) == data
    assert found.operator.isprintable()

# SPDX-License-Identifier: Apache-2.0
"""Telemetry: any payload is finite, named, bounded values or a WireError; what is accepted can be sent again."""

from __future__ import annotations

import math

from armillary.errors import WireError
from armillary.wire.hub import telemetry

RECEIVED_MS = 1_795_532_400_000


def seeds() -> list[bytes]:
    return [
        b'{"t":21.5,"on":true,"state":"idle","none":null}',
        b'{"air":{"co2":612,"deep":{"er":[1,2,{"x":-0.0}]}},"big":1e308,"neg":-12345678901234567890}',
        b'{"\xc3\xa9":"\xf0\x9f\x98\x80","e":"\\ud83d\\ude00","esc":"\\u0000\\n"}',
        b'{"n":NaN}',
        b'{"i":1e999}',
        b"[" * 2000,
        b'{"a.b":1,"a":{"b":2}}',
    ]


def fuzz(data: bytes) -> None:
    try:
        measured = telemetry.decode(data, {}, RECEIVED_MS)
    except WireError:
        return
    assert measured.at_ms == RECEIVED_MS
    assert len(measured.values) <= telemetry.MAX_VALUES
    for name, value in measured.values.items():
        assert 0 < len(name) <= telemetry.MAX_NAME_CHARACTERS
        assert not isinstance(value, float) or math.isfinite(value)
    assert telemetry.decode(telemetry.encode(measured.values), {}, RECEIVED_MS) == measured

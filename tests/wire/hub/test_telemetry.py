# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import subprocess
import sys

import pytest

from armillary.errors import WireError
from armillary.wire.hub import telemetry

NOW = 1_795_532_400_000


def values(document: object, properties: dict[str, str] | None = None) -> dict[str, object]:
    return dict(telemetry.decode(json.dumps(document).encode(), properties or {}, NOW).values)


def test_flattening() -> None:
    document = {"t": 1, "air": {"co2": 612.5, "deep": {"ok": True}}, "lanes": [3, "x", {"n": 1}], "none": None}
    assert values(document) == {
        "t": 1.0,
        "air.co2": 612.5,
        "air.deep.ok": True,
        "lanes.0": 3.0,
        "lanes.1": "x",
        "lanes.2.n": 1.0,
    }
    assert type(values({"t": 1})["t"]) is float


def test_component_is_a_prefix() -> None:
    assert values({"t": 1}, {"$.sub": "thermo"}) == {"thermo.t": 1.0}


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2026-01-02T03:04:05Z", 1767323045000),
        ("2026-01-02T03:04:05.123Z", 1767323045123),
        ("2026-01-02T03:04:05.1234567Z", 1767323045123),
        ("2026-01-02T04:04:05+01:00", 1767323045000),
        ("2026-01-02T03:04:05", 1767323045000),
    ],
)
def test_time_of_measurement(text: str, at_ms: int) -> None:
    assert telemetry.decode(b"{}", {telemetry.CREATION_TIME_PROPERTY: text}, NOW).at_ms == at_ms


@pytest.mark.parametrize(
    "text", ["", "yesterday", "1999-12-31T23:59:59Z", "2126-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59"]
)
def test_refused_times(text: str) -> None:
    with pytest.raises(WireError, match="iothub-creation-time-utc"):
        telemetry.decode(b"{}", {telemetry.CREATION_TIME_PROPERTY: text}, NOW)


REFUSED = {
    "NaN": b'{"t":NaN}',
    "Infinity": b'{"t":-Infinity}',
    "beyond a double": b'{"t":1e400}',
    "integer beyond a double": b'{"t":' + b"9" * 400 + b"}",
    "integer of a million digits": b'{"t":' + b"9" * 200_000 + b"}",
    "array at the top": b"[1]",
    "number at the top": b"1",
    "no JSON": b"{t:1}",
    "empty": b"",
    "trailing": b"{} {}",
    "latin-1": b'{"t":"\xe9"}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "same name twice": b'{"a.b":1,"a":{"b":2}}',
    "empty name": b'{"":1}',
    "control in a name": b'{"a\\n":1}',
    "lone surrogate": b'{"a":"\\ud800"}',
    "surrogate name": b'{"\\ud800":1}',
    "long name": b'{"' + b"n" * 129 + b'":1}',
    "long text": b'{"t":"' + b"x" * 1025 + b'"}',
    "nine levels": b'{"a":' * 9 + b"1" + b"}" * 9,
    "a hundred thousand levels": b'{"a":' * 100_000,
    "257 values": json.dumps({f"n{i}": i for i in range(257)}).encode(),
    "array of 257": json.dumps({"a": [0] * 257}).encode(),
    "too large": b'{"t":1' + b" " * telemetry.MAX_MESSAGE_BYTES + b"}",
}


@pytest.mark.parametrize("payload", REFUSED.values(), ids=REFUSED)
def test_refused_payloads(payload: bytes) -> None:
    with pytest.raises(WireError) as refused:
        telemetry.decode(payload, {}, NOW)
    assert refused.value.code == "wire.telemetry"


def test_limits_are_inclusive() -> None:
    assert len(values({f"n{i}": i for i in range(256)})) == 256
    assert values({"n" * 128: "x" * 1024})
    nested = b'{"a":' * 8 + b"1" + b"}" * 8
    assert telemetry.decode(nested, {}, NOW).values == {".".join("a" * 8): 1.0}


def test_which_messages_are_json() -> None:
    assert telemetry.is_json({})
    assert telemetry.is_json({"$.ct": "application/json; charset=utf-8", "$.ce": "UTF-8"})
    assert not telemetry.is_json({"$.ct": "application/octet-stream"})
    assert not telemetry.is_json({"$.ct": "application/json", "$.ce": "gzip"})


def test_encode_refuses_what_cannot_be_read_back() -> None:
    for value in (float("nan"), float("inf"), "\ud800"):
        with pytest.raises(WireError):
            telemetry.encode({"t": value})


@pytest.mark.parametrize(
    "payload",
    [*REFUSED.values(), b"{}", b'{"t":1,"ok":true,"s":"x"}', b'{"t":null}', b'{"air":{"co2":612.5},"lanes":[3,"x"]}'],
)
def test_without_msgspec_every_message_is_read_the_same(payload: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> object:
        try:
            return telemetry.decode(payload, {"$.sub": "pump"}, NOW)
        except WireError as error:
            return str(error)

    with_it = read()
    monkeypatch.setattr(telemetry, "_FLAT", None)
    assert read() == with_it


def test_a_device_without_msgspec_and_cbor2_reads_messages() -> None:
    """As on 32-bit Arm, for which nobody has built them."""
    program = (
        "import sys; sys.modules['msgspec'] = sys.modules['cbor2'] = None\n"
        "from armillary.wire.encoding import cbor; from armillary.wire.hub import telemetry\n"
        "assert cbor.codec.__name__.endswith('plain_cbor')\n"
        "assert cbor.decode(cbor.encode({'a': [1, b'x']}), what='test', limit=99) == {'a': [1, b'x']}\n"
        "print(dict(telemetry.decode(b'{\"t\": 1}', {}, 1).values))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "{'t': 1.0}\n"

# SPDX-License-Identifier: Apache-2.0
"""The library for C: built without a warning, and run with every access of memory and every overflow checked."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.device.interface.asking import Host, application, parts
from tests.fixtures.application_samples import compiled

from armillary.device.interface.method import Answer, Call, Method
from armillary.device.interface.methods import method_table

CHECK = Path(__file__).with_name("library_check.c")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("c") / "check"
    made.write_bytes(compiled("gcc", CHECK, checked=True))
    made.chmod(0o755)
    return made


def found(program: Path, cases: Sequence[tuple[str, str, bytes]]) -> list[str]:
    """What the library finds for each (kind, field, object)."""
    said = b"".join(kind.encode() + b"\0" + field.encode() + b"\0" + text + b"\0" for kind, field, text in cases)
    done = subprocess.run([program, "json"], input=said, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()[:2000]
    return done.stdout.decode().splitlines()


TABLE = [
    ("i", "a", '{"a": 7}', "7"),
    ("i", "a", '{"b": {"a": 1}, "a": -9223372036854775808}', "-9223372036854775808"),
    ("i", "a.b.c", '{"a": {"x": [1, {"b": 2}], "b": {"c": 5}}}', "5"),
    ("i", "a", '{"a": 9223372036854775808}', "ERANGE"),
    ("i", "a", '{"a": 1.5}', "EINVAL"),
    ("i", "a", '{"a": "1"}', "EINVAL"),
    ("i", "a", '{"a": null}', "EINVAL"),
    ("i", "b", '{"a": 1}', "ENOENT"),
    ("i", "a.b", '{"a": 1}', "ENOENT"),
    ("i", "", '{"": 3}', "3"),
    ("i", "a", "", "ENOENT"),
    ("i", "a", "[1]", "ENOENT"),
    ("i", "a", '{"b": ' + "[" * 40 + "]" * 40 + ', "a": 1}', "ENOENT"),
    ("i", "a", '{"\\"a": 1, "a": 2}', "2"),
    ("b", "a", '{"a":true}', "true"),
    ("b", "a", '{ "x" : [ ] , "a" : false }', "false"),
    ("b", "a", '{"a": 1}', "EINVAL"),
    ("t", "a", '{"a": "x\\n\\u00e4\\ud83d\\ude00\\/"}', "x\n\u00e4\U0001f600/".encode().hex()),
    ("t", "a", '{"a": "\\ud800"}', b"?".hex()),
    ("t", "a", '{"a": "\\ude00\\u0000"}', b"??".hex()),
    ("t", "a", '{"a": "\\x"}', "EINVAL"),
    ("t", "a", '{"a": "\\u12"}', "EINVAL"),
    ("t", "a", '{"a": "' + "x" * 5000 + '"}', "ERANGE"),
    ("t", "a", '{"a": "open', "EINVAL"),
    ("t", "a", '{"a": ""}', ""),
    ("q", "", 'a"b\\c\n\u00e4', '"a\\"b\\\\c\\u000a\u00e4"'),
    ("q", "", "x" * 5000, "ERANGE"),
]  # fmt: skip
NO_UTF8 = [
    b"\xff", b"\x80", b"a\xc3", b"\xc0\xaf", b"\xc3(", b"\xe0\x9f\xbf", b"\xed\xa0\x80", b"\xe2\x82", b"\xf0\x8f\xbf\xbf",
    b"\xf0\x9f\x98", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"ok \xe4 \xc3\xa4",
]  # fmt: skip


def test_fields_of_objects(program: Path) -> None:
    said = found(program, [(kind, field, text.encode()) for kind, field, text, _ in TABLE])
    assert said == [expected for *_, expected in TABLE]


def test_text_from_elsewhere_becomes_text_that_the_device_reads(program: Path) -> None:
    """Each byte that is no UTF-8 becomes U+FFFD; a frame with such a byte would end the connection."""
    whole = "a\u00e4\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"
    said = found(program, [("q", "", text) for text in (*NO_UTF8, whole.encode())])
    assert json.loads(said.pop()) == whole
    for written, text in zip(said, NO_UTF8, strict=True):
        kept = text.decode("utf-8", "ignore")
        assert json.loads(written).replace("\ufffd", "") == kept
        assert json.loads(written).count("\ufffd") == len(text) - len(kept.encode())


def test_whatever_the_bytes_it_reads_no_byte_beyond_them(program: Path) -> None:
    """The checks of the compiler end the program at the first; what is whole is found as Python finds it."""
    chance = random.Random(7)  # noqa: S311 - no secret, and the same every time
    whole = json.dumps(
        {"n": -5, "t": '\u00e4"\\\n', "b": True, "o": {"l": [1, [2, {"n": 3}]], "n": 4}, "z": None}
    ).encode()
    cases = []
    for _ in range(3000):
        text = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(len(text))
            text[place : place + chance.randrange(3)] = bytes([chance.choice(b'{}[]:,"\\u0 n-e\xff\x01')])
        del text[chance.choice((len(text), chance.randrange(len(text) + 1))) :]
        cases.append((chance.choice("ibt"), chance.choice(("n", "t", "b", "o.n", "o.l", "z")), bytes(text)))
    assert len(found(program, cases)) == len(cases)
    assert found(program, [("i", "n", whole), ("i", "o.n", whole), ("t", "t", whole)]) == [
        "-5", "4", '\u00e4"\\\n'.encode().hex(),
    ]  # fmt: skip


def extra_methods() -> tuple[Method, ...]:
    """What the check asks for beside the methods of a device."""

    async def flood(call: Call) -> None:
        for number in range(call.parameters.integer("events", 0, 60)):
            call.notify("tick", {"number": number})
        await asyncio.sleep(0.2)  # they go first, so that the answer has to be looked for behind them

    async def large(call: Call) -> Mapping[str, Any]:
        return {"text": "x" * 65000}

    async def file(_: Call) -> Answer:
        held = os.memfd_create("file")
        os.write(held, b"by descriptor")
        return Answer(result={}, descriptors=(held,))

    async def bye(call: Call) -> None:
        call.session.run.end("bye")
        await asyncio.sleep(3600)

    return (
        Method("test.flood", None, flood), Method("test.large", None, large), Method("test.file", None, file),
        Method("test.bye", None, bye),
    )  # fmt: skip


@pytest.mark.anyio
async def test_it_talks_to_a_device(program: Path, tmp_path: Path) -> None:
    given = parts(tmp_path)
    rows = method_table(given).rows
    host = Host(tmp_path, lambda _: [*(each for each in rows if each.name != "interface.describe"), *extra_methods()])
    app = application(
        MutableStorage={"SizeKB": 8}, SystemEventNotifications=True, DeviceAuthentication=str(uuid.UUID(int=9))
    )
    (tmp_path / str(app.component_id)).mkdir()
    async with given.telemetry, host.open(app) as asked:
        process = await asyncio.create_subprocess_exec(
            program,
            "talk",
            env={"ARMILLARY_APPLICATION_SOCKET": str(asked.path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            while not asked.ends:
                await asyncio.sleep(0.01)
    out, error = await process.communicate()
    assert (process.returncode, error) == (0, b""), error.decode()[:2000]
    lines = out.decode().splitlines()
    no_json = "telemetry -1 EINVAL the values are no JSON: NaN and infinities are no numbers"
    assert lines[6:11] == [*[no_json] * 4, "telemetry 0 2"], "and the connection goes on"
    del lines[6:11]
    assert lines[:6] == [
        "log 0",
        "storage 0 8192 0",
        "time 0 1800000000 0",
        "memory -1 EACCES memory.statistics needs HeapMemStats in the manifest",
        "telemetry 0 1",
        "telemetry -1 EINVAL",
    ]
    assert json.loads(lines[6].removeprefix("subscribe 0 "))["update"] == {"state": "none"}
    assert lines[7] == "flood 0"
    assert lines[8:24] == [f"event tick {number}" for number in range(24, 40)], "it keeps the newest"
    assert lines[24:] == [
        "large 0 65011",
        "file 0 1 by descriptor",
        "dropped 0",
        "much -1 E2BIG",
        "line -1 refused",
        "bye -1 ECONNRESET",
    ]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"

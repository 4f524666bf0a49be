# SPDX-License-Identifier: Apache-2.0
"""The library for Python: one file that imports the standard library alone, against the interface of a device."""

from __future__ import annotations

import ast
import asyncio
import errno
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.applibs.test_c_library import extra_methods
from tests.device.interface.asking import Asked, Host, application, events, parts
from tests.fixtures.application_samples import APPLIBS

from armillary.device.interface.log import Log
from armillary.device.interface.methods import method_table

SOURCE = APPLIBS / "python/armillary_application.py"
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def library() -> Any:
    spec = importlib.util.spec_from_file_location("armillary_application", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def host(folder: Path) -> Host:
    own = ("interface.describe", "log.write")
    rows = [each for each in method_table(parts(folder)).rows if each.name not in own]
    return Host(folder, lambda journal: [*rows, *Log(journal).methods, *extra_methods()])


def test_it_needs_nothing_but_python() -> None:
    imported = {
        name
        for node in ast.walk(ast.parse(SOURCE.read_text("utf-8")))
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert imported - {"__future__"} <= sys.stdlib_module_names


async def test_it_asks_and_hears(library: Any, tmp_path: Path) -> None:
    made = host(tmp_path)

    def play(asked: Asked) -> None:
        with library.Device(str(asked.path)) as device:
            device.log("pump on", "warning")
            device.log(b"remote \xff".decode("utf-8", "surrogateescape"))
            device.watch(within_s=60)
            device.beat()
            assert device.subscribe("time") == {"time": {"signed": False}}
            assert device.event(timeout_s=0) is None
            assert device.ask("test.flood", events=3) == {}
            assert [device.event().data for _ in range(3)] == [{"number": number} for number in range(3)]
            device.defer_update(60)
            result, [held] = device.ask_with_descriptors("test.file")
            assert (result, os.pread(held, 20, 0)) == ({}, b"by descriptor")
            os.close(held)
            assert len(device.ask("test.large")["text"]) == 65000
            device.ask("test.flood", events=1)
            assert repr(device.event(timeout_s=5)) == "Event('tick', {'number': 0})"

    async with made.open(application(SystemEventNotifications=True, SoftwareUpdateDeferral=True)) as asked:
        await asyncio.to_thread(play, asked)
    assert asked.deferred == [60]
    assert [(each["level"], each["text"]) for each in events(made, "output")] == [
        ("warning", "pump on"),
        ("info", "remote \ufffd"),
    ]


async def test_what_is_refused_says_why_and_what_to_do(library: Any, tmp_path: Path) -> None:
    made = host(tmp_path)

    def play(asked: Asked) -> None:
        device = library.Device(str(asked.path))
        with pytest.raises(library.DeviceError) as refused:
            device.subscribe()
        assert (refused.value.errno, refused.value.error_id) == (errno.EACCES, 2 << 20 | 46)
        with pytest.raises(OSError, match="expected one of debug") as wrong:
            device.log("x", "loud")
        assert "application-interface.md" in wrong.value.remedy
        with pytest.raises(library.DeviceError, match="at most 65536"):
            device.log("x" * 70_000)
        assert device.ask("interface.describe")["version"] == 1
        with pytest.raises(library.DeviceError) as gone:
            device.ask("test.bye")
        assert gone.value.errno == errno.ECONNRESET
        device.close()

    async with made.open(application()) as asked:
        playing = asyncio.create_task(asyncio.to_thread(play, asked))
        while not asked.ends and not playing.done():
            await asyncio.sleep(0.01)
    await playing


async def test_what_is_no_json_is_refused_before_it_is_sent(library: Any, tmp_path: Path) -> None:
    def play(asked: Asked) -> None:
        with library.Device(str(asked.path)) as device:
            for value in (float("nan"), float("inf"), [1, float("-inf")]):
                with pytest.raises(library.DeviceError, match="NaN and infinities") as refused:
                    device.send_telemetry({"t": value})
                assert refused.value.errno == errno.EINVAL
            device.log("the connection goes on")

    async with host(tmp_path).open(application()) as asked:
        await asyncio.to_thread(play, asked)


async def test_after_the_device_has_closed_the_connection_every_call_says_so_and_the_log_why(
    library: Any, tmp_path: Path
) -> None:
    made = host(tmp_path)

    def play(asked: Asked) -> None:
        with library.Device(str(asked.path)) as device:
            device._stream.sendall((4).to_bytes(4, "big") + b"nope")
            with pytest.raises(library.DeviceError) as refused:
                device.beat()
            assert refused.value.errno == errno.EPROTO
            for _ in range(2):
                with pytest.raises(library.DeviceError, match=r"has closed the connection: .*JSON object") as ended:
                    device.beat()
                assert (ended.value.errno, "new Device" in ended.value.remedy) == (errno.ENOTCONN, True)
        with library.Device(str(asked.path)) as device:
            device.log("again")

    async with made.open(application()) as asked:
        await asyncio.to_thread(play, asked)
    [closed] = [each for each in made.entries if each["event"] == "interface-closed"]
    assert "a JSON object in UTF-8" in str(closed["reason"])


def test_without_an_interface_it_says_so(library: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(library.SOCKET_VARIABLE, raising=False)
    with pytest.raises(library.DeviceError, match="is not set"):
        library.Device()
    with pytest.raises(library.DeviceError, match="No such file"):
        library.Device(str(tmp_path / "none.sock"))

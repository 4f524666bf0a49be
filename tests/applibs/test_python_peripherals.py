# SPDX-License-Identifier: Apache-2.0
"""The peripherals of the library for Python: over the interface, and by a line's descriptor where there is one."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.device.interface.peripheral_bench import Bench, Hardware
from tests.fixtures.application_samples import APPLIBS

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The library's two files, imported as an application imports them, and forgotten afterwards."""
    monkeypatch.syspath_prepend(str(APPLIBS / "python"))
    names = ("armillary_peripherals", "armillary_application")
    before = {name: sys.modules.pop(name, None) for name in names}
    import armillary_peripherals  # noqa: PLC0415 - found by the path above

    yield armillary_peripherals
    for name in names:
        sys.modules.pop(name, None)
        if before[name] is not None:
            sys.modules[name] = before[name]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path that is short enough for socket addresses."""
    with tempfile.TemporaryDirectory(prefix="armillary-test-") as found:
        yield Path(found)


async def play(bench: Bench, library: ModuleType, act: Callable[[Any], None]) -> None:
    """Run ``act`` with a Device, in a thread as the library waits."""

    def in_thread(path: str) -> None:
        with library.Device(path) as device:
            act(device)

    async with bench.host.open(bench.mine) as asked:
        await asyncio.to_thread(in_thread, str(asked.path))


async def test_simulated_peripherals_are_used_over_the_interface(library: ModuleType, folder: Path) -> None:
    bench = Bench(folder)
    bench.world.sample("ADC-CONTROLLER-0", 3, 77)
    loop = asyncio.get_running_loop()

    def act(device: Any) -> None:
        lamp = library.OutputPin(device, 8, 1)
        lamp.set(0)
        assert (lamp.get(), lamp.simulated) == (0, True)
        button = library.InputPin(device, 12, edges="both", bias="pull-up")
        assert (button.get(), button.fileno(), button.wait(0)) == (1, None, None)
        loop.call_soon_threadsafe(bench.world.drive, "12", 0)
        assert button.wait(30) == "falling"
        button.close()
        thermometer = library.I2c(device, "ISU1")
        assert (thermometer.transfer(0x48, write=b"\0", read=2), thermometer.simulated) == (b"\x19\0", True)
        with pytest.raises(OSError, match="nothing answers") as nobody:
            thermometer.transfer(0x50, read=1)
        assert nobody.value.errno == errno.ENXIO
        bus = library.Spi(device, "ISU2", mode=3)
        assert (bus.exchange(b"abc"), bus.transfer(write=b"a", read=1)) == (b"abc", b"\0")
        library.Pwm(device, "PWM-CONTROLLER-1", 2).apply(period_ns=100, duty_ns=25)
        level = library.Adc(device, "ADC-CONTROLLER-0", 3)
        assert (level.read(), level.bits, level.simulated) == (77, 12, True)
        ear, voice = library.SoundInput(device, "I2S0", rate_hz=8000), library.SoundOutput(device, "I2S0", rate_hz=8000)
        heard = ear.read(ear.frames_limit, timeout_s=1.0)
        assert (len(heard) % 4, ear.frame_bytes, ear.simulated, ear.gaps) == (0, 4, True, 0)
        assert heard
        assert (voice.write(b"abcd" * 10), voice.gaps) == (10, 0)
        with pytest.raises(OSError, match="Gpio 9") as refused:
            library.OutputPin(device, 9)
        assert (refused.value.errno, refused.value.error_id) == (errno.EACCES, 2097162)

    await play(bench, library, act)
    assert bench.world.outputs["PWM-CONTROLLER-1"][2].duty_ns == 25
    assert bytes(bench.world.sounds["I2S0"].kept) == b"abcd" * 10


async def test_a_line_of_the_kernel_is_used_without_the_device(
    library: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its descriptor is a pipe here: what the kernel would be asked is heard, and its edges are written by the test."""
    hardware, asked = Hardware(), []

    def ioctl(descriptor: int, request: int, argument: Any) -> None:
        asked.append((request, bytes(argument)))
        if request == 0xC010B40E:
            argument[0] = 1
        assert os.fstat(descriptor).st_ino == os.fstat(hardware.lines[-1].descriptor).st_ino

    monkeypatch.setattr(library.fcntl, "ioctl", ioctl)

    def act(device: Any) -> None:
        lamp = library.OutputPin(device, 8)
        lamp.set(1)
        assert (lamp.get(), lamp.simulated) == (1, False)
        mask = ctypes.c_uint64(1)
        assert asked == [
            (0xC010B40F, bytes(ctypes.c_uint64(1)) + bytes(mask)),
            (0xC010B40E, bytes(8) + bytes(mask)),
        ]

    await play(Bench(folder, hardware), library, act)


def test_edges_of_a_line_are_read_from_its_descriptor(library: ModuleType) -> None:
    read_end, write_end = os.pipe()

    class Answers:
        def ask_with_descriptors(self, method: str, **parameters: Any) -> tuple[dict[str, Any], list[int]]:
            assert (method, parameters["edges"]) == ("gpio.open-input", "both")
            return {}, [read_end]

        def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
            assert (method, parameters) == ("gpio.close", {"pin": 12})
            return {}

    button = library.InputPin(Answers(), 12, edges="both")
    assert (button.fileno(), button.wait(0)) == (read_end, None)
    for kind in (1, 2):  # enum gpio_v2_line_event_id
        os.write(write_end, bytes(8) + kind.to_bytes(4, "little") + bytes(36))
    assert [button.wait(30), button.wait(30), button.wait(0)] == ["rising", "falling", None]
    button.close()
    os.close(write_end)

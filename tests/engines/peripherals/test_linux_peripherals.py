# SPDX-License-Identifier: Apache-2.0
"""The Linux engines against the kernel's interfaces, with a stand-in for the kernel's side; pins by gpio-sim if it is.

Not seen on silicon: this host has no GPIO, I2C, SPI, PWM or IIO drivers.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engines.peripherals.board_kernel import BoardKernel

from armillary.capability import board as boards
from armillary.capability.grant import Peripheral
from armillary.engines.peripherals.exports import BOOT_ID
from armillary.engines.peripherals.gpio import open_line
from armillary.engines.peripherals.kernel import HostKernel
from armillary.engines.peripherals.port import LineRequest, PwmState, SpiTransfer
from armillary.engines.peripherals.selection import BoardPeripherals

PWM, IIO = "/sys/class/pwm/pwmchip0", "/sys/bus/iio/devices/iio:device0"
STATE = PwmState(period_ns=1000, duty_ns=900)
OUTPUT, INPUT = LineRequest(output=True), LineRequest(output=False)


def of(kind: str, name: str) -> Peripheral:
    return Peripheral(kind=kind, name=name)


@pytest.fixture
def kernel() -> BoardKernel:
    return BoardKernel()


def wired_board() -> boards.Board:
    wired = {
        of("Gpio", "8"): boards.Wired(nodes=("/dev/gpiochip0",), line=3),
        of("Gpio", "9"): boards.Wired(nodes=("/dev/gpiochip0",), line=4),
        of("Gpio", "10"): boards.Wired(nodes=("/dev/gpiochip0",), line=99),
        of("Gpio", "11"): boards.Wired(nodes=("/dev/gpiochip7",), line=0),
        of("I2cMaster", "I2C1"): boards.Wired(nodes=("/dev/i2c-1",)),
        of("SpiMaster", "SPI1"): boards.Wired(nodes=("/dev/spidev0.0", "/dev/spidev0.1")),
        of("Pwm", "PWM1"): boards.Wired(nodes=(PWM,), channels=2),
        of("Adc", "ADC1"): boards.Wired(nodes=(IIO,), channels=4, bits=10),
    }
    return boards.Board(name="test", about="a test", chip="imx8mp", wired=wired)


@pytest.fixture
def board(kernel: BoardKernel) -> BoardPeripherals:
    return BoardPeripherals(wired_board(), kernel)


def refused(number: int) -> contextlib.AbstractContextManager[pytest.ExceptionInfo[OSError]]:
    return pytest.raises(OSError, match=rf"\[Errno {number}\]")


def test_an_output_is_one_line_of_its_chip_with_its_first_level(board: BoardPeripherals, kernel: BoardKernel) -> None:
    line = board.line(of("Gpio", "8"), LineRequest(output=True, level=1, drive="open-drain"))
    assert kernel.levels == {3: 1}
    assert list(kernel.descriptors.values()) == ["line"]  # the chip's node is closed
    assert kernel.lines[line.descriptor or 0] == {"offset": 3, "flags": (1 << 3) | (1 << 6)}
    line.set(0)
    assert (line.get(), kernel.levels) == (0, {3: 0})
    line.close()
    assert kernel.descriptors == {}
    with refused(errno.EBADF):
        line.get()


def test_an_input_is_read_and_never_set(board: BoardPeripherals, kernel: BoardKernel) -> None:
    line = board.line(of("Gpio", "8"), LineRequest(output=False, edges="both", bias="pull-up"))
    assert kernel.lines[line.descriptor or 0]["flags"] == (1 << 2) | (1 << 4) | (1 << 5) | (1 << 8)
    kernel.levels[3] = 1
    assert line.get() == 1
    with refused(errno.EPERM):
        line.set(0)
    line.configure(LineRequest(output=True, level=0))
    line.set(1)
    assert kernel.levels == {3: 1}


def test_a_line_that_another_program_or_a_driver_has_is_refused(board: BoardPeripherals, kernel: BoardKernel) -> None:
    line = board.line(of("Gpio", "8"), INPUT)
    with refused(errno.EBUSY):
        board.line(of("Gpio", "8"), INPUT)
    line.close()
    board.line(of("Gpio", "8"), INPUT).close()  # positive control
    kernel.taken.add(4)
    with refused(errno.EBUSY):
        board.line(of("Gpio", "9"), OUTPUT)
    assert kernel.descriptors == {}


def test_lines_and_chips_that_are_not_there(board: BoardPeripherals, kernel: BoardKernel) -> None:
    with refused(errno.EINVAL):
        board.line(of("Gpio", "10"), INPUT)
    with refused(errno.ENODEV) as caught:
        board.line(of("Gpio", "11"), INPUT)
    assert "/dev/gpiochip7" in str(caught.value)
    with refused(errno.ENODEV) as caught:
        board.line(of("Gpio", "12"), INPUT)
    assert "board test has no Gpio 12" in str(caught.value)
    assert kernel.descriptors == {}


def test_i2c_writes_and_reads_in_one_transfer(board: BoardPeripherals, kernel: BoardKernel) -> None:
    bus = board.i2c(of("I2cMaster", "I2C1"))
    assert bus.transfer(0x48, b"\x02", 3) == b"\x02\x03\x04"
    assert kernel.log == [("write", 0x48, b"\x02"), ("read", 0x48, 3)]
    assert bus.transfer(0x48, b"\x02\xaa", 0) == b""
    assert kernel.devices[0x48][2] == 0xAA
    assert bus.transfer(0x48, b"", 0) == b""  # does anything answer
    bus.close()
    assert kernel.descriptors == {}


def test_i2c_addresses_of_nothing_and_of_a_driver(board: BoardPeripherals) -> None:
    bus = board.i2c(of("I2cMaster", "I2C1"))
    with refused(errno.ENXIO) as caught:
        bus.transfer(0x50, b"\0", 1)
    assert "nothing answers at address 0x50" in str(caught.value)
    with refused(errno.EBUSY) as caught:
        bus.transfer(0x68, b"\0", 1)
    assert "a driver of the kernel has address 0x68" in str(caught.value)


@pytest.mark.parametrize(("node", "kind", "name"), [("/dev/i2c-1", "i2c", "I2C1"), ("/dev/spidev0.1", "spi", "SPI1")])
def test_a_bus_that_another_device_holds_is_refused_and_let_go(
    board: BoardPeripherals, kernel: BoardKernel, node: str, kind: str, name: str
) -> None:
    key = {"i2c": "I2cMaster", "spi": "SpiMaster"}[kind]
    kernel.locked.add(node)
    with refused(errno.EBUSY):
        getattr(board, kind)(of(key, name))
    assert kernel.descriptors == {}
    kernel.locked.clear()
    getattr(board, kind)(of(key, name))  # positive control
    assert node in kernel.descriptors.values()


def test_spi_exchanges_with_the_chosen_chip(board: BoardPeripherals, kernel: BoardKernel) -> None:
    bus = board.spi(of("SpiMaster", "SPI1"))
    assert bus.transfer(SpiTransfer(write=b"\x9f", read=3, mode=3, speed_hz=50_000)) == b"\x5a" * 3
    assert bus.transfer(SpiTransfer(write=b"abc", read=3, duplex=True, chip_select=1, lsb_first=True)) == b"abc"
    assert bus.transfer(SpiTransfer(write=b"x")) == b""
    assert kernel.log == [
        ("mode", "/dev/spidev0.0", 3),
        ("spi", "/dev/spidev0.0", b"\x9f", False, 50_000),
        ("spi", "/dev/spidev0.0", 3, True, 50_000),
        ("mode", "/dev/spidev0.1", 8),
        ("spi", "/dev/spidev0.1", b"abc", True, 1_000_000),
        ("mode", "/dev/spidev0.0", 0),
        ("spi", "/dev/spidev0.0", b"x", False, 1_000_000),
    ]
    with refused(errno.EINVAL):
        bus.transfer(SpiTransfer(write=b"x", chip_select=2))


def test_pwm_is_written_in_an_order_that_the_kernel_takes(board: BoardPeripherals, kernel: BoardKernel) -> None:
    kernel.files[f"{PWM}/npwm"] = "2"
    controller = board.pwm(of("Pwm", "PWM1"))
    for state in (
        PwmState(period_ns=1000, duty_ns=900),
        PwmState(period_ns=500, duty_ns=100),
        PwmState(period_ns=2000, duty_ns=1500, inverted=True),
    ):
        controller.apply(1, state)
        channel = f"{PWM}/pwm1"
        assert kernel.files[f"{channel}/period"] == str(state.period_ns)
        assert kernel.files[f"{channel}/duty_cycle"] == str(state.duty_ns)
        assert kernel.files[f"{channel}/polarity"] == ("inversed" if state.inverted else "normal")
        assert kernel.files[f"{channel}/enable"] == "1"
    assert [path for path, _ in kernel.writes].count(f"{PWM}/export") == 1
    controller.close()
    assert kernel.writes[-2:] == [(f"{PWM}/pwm1/enable", "0"), (f"{PWM}/unexport", "1")]


def test_pwm_channels_that_are_held_or_not_there(board: BoardPeripherals, kernel: BoardKernel) -> None:
    kernel.files[f"{PWM}/npwm"] = "1"
    with refused(errno.ENODEV):
        board.pwm(of("Pwm", "PWM1"))  # the board says two
    kernel.files |= {f"{PWM}/npwm": "2", f"{PWM}/pwm0/enable": "1"}
    with refused(errno.EBUSY) as caught:
        board.pwm(of("Pwm", "PWM1")).apply(0, PwmState(period_ns=10, duty_ns=5))
    assert "another program holds channel 0" in str(caught.value)


@pytest.fixture
def killed(kernel: BoardKernel, tmp_path: Path) -> Path:
    """The record of a device that was killed while channel 1 was put out."""
    kernel.files |= {f"{PWM}/npwm": "2", BOOT_ID: "this boot"}
    record = tmp_path / "pwm-exports.json"
    BoardPeripherals(wired_board(), kernel, record=record).pwm(of("Pwm", "PWM1")).apply(1, STATE)
    return record


def test_pwm_channels_of_a_device_that_was_killed_are_let_go_at_its_next_start(
    kernel: BoardKernel, killed: Path
) -> None:
    kernel.writes.clear()
    again = BoardPeripherals(wired_board(), kernel, record=killed)
    assert kernel.writes == [(f"{PWM}/pwm1/enable", "0"), (f"{PWM}/unexport", "1")]
    controller = again.pwm(of("Pwm", "PWM1"))
    controller.apply(1, STATE)
    controller.apply(0, STATE)
    assert json.loads(killed.read_text())["channels"] == [[PWM, 0], [PWM, 1]]
    controller.close()
    assert not killed.exists()


@pytest.mark.parametrize("found", ["an earlier boot", "another's chip", "no record", b"[", b'{"boot": "this boot"}'])
def test_pwm_channels_that_this_device_has_not_exported_are_not_touched(
    kernel: BoardKernel, killed: Path, found: str | bytes
) -> None:
    if found == "an earlier boot":
        kernel.files[BOOT_ID] = "this boot now"
    elif found == "another's chip":
        killed.write_text(killed.read_text().replace("pwmchip0", "pwmchip1"))
    elif found == "no record":
        killed.unlink()
    elif isinstance(found, bytes):
        killed.write_bytes(found)
    kernel.writes.clear()
    again = BoardPeripherals(wired_board(), kernel, record=killed)
    assert kernel.writes == []
    with refused(errno.EBUSY):
        again.pwm(of("Pwm", "PWM1")).apply(1, STATE)
    assert not killed.exists()


def test_adc_samples_and_what_is_none(board: BoardPeripherals, kernel: BoardKernel) -> None:
    with refused(errno.ENODEV):
        board.adc(of("Adc", "ADC1"))
    kernel.files |= {f"{IIO}/name": "adc", f"{IIO}/in_voltage2_raw": "1023", f"{IIO}/in_voltage3_raw": "1024"}
    controller = board.adc(of("Adc", "ADC1"))
    assert controller.read(2) == 1023
    with refused(errno.EIO):
        controller.read(3)


def test_the_hosts_kernel_opens_locks_and_says_what_is_not_there(tmp_path: Path) -> None:
    kernel, node = HostKernel(), tmp_path / "node"
    with refused(errno.ENODEV):
        kernel.open(str(node))
    with refused(errno.ENODEV):
        kernel.write_text(str(node), "1")
    node.write_text("5\n")
    assert kernel.read_text(str(node)) == "5"
    kernel.write_text(str(node), "7")
    assert kernel.read_text(str(node)) == "7"
    first, second = kernel.open(str(node)), kernel.open(str(node))
    kernel.lock(first)
    with refused(errno.EBUSY):
        kernel.lock(second)
    kernel.close(first)
    kernel.lock(second)  # positive control: it was the lock
    with refused(errno.ENOTTY):
        kernel.ioctl(second, 0xC250B407, bytearray(592))
    kernel.close(second)
    (tmp_path / "link").symlink_to(node)
    with refused(errno.ELOOP):
        kernel.open(str(tmp_path / "link"))


@pytest.fixture
def gpio_sim() -> Iterator[str]:
    """The node of a chip with four lines that the kernel simulates."""
    root = Path("/sys/kernel/config/gpio-sim")
    if not root.is_dir():
        pytest.skip("this kernel has no gpio-sim (CONFIG_GPIO_SIM, configfs)")
    device = Path(tempfile.mkdtemp(prefix="armillary-", dir=root))
    bank = device / "bank0"
    try:
        bank.mkdir()
        (bank / "num_lines").write_text("4")
        (device / "live").write_text("1")
        yield f"/dev/{(bank / 'chip_name').read_text().strip()}"
    finally:
        with contextlib.suppress(OSError):
            (device / "live").write_text("0")
        bank.rmdir()
        device.rmdir()


def test_a_line_of_the_kernels_own_simulator(gpio_sim: str) -> None:
    kernel = HostKernel()
    line = open_line(kernel, gpio_sim, 1, LineRequest(output=True, level=1))
    assert line.get() == 1
    line.set(0)
    assert line.get() == 0
    with refused(errno.EBUSY):
        open_line(kernel, gpio_sim, 1, INPUT)
    handed = os.dup(line.descriptor or 0)
    with pytest.raises(OSError, match="Errno"):  # the line is no way to the chip
        fcntl.ioctl(handed, 0xC250B407, bytearray(592))
    os.close(handed)
    line.close()
    open_line(kernel, gpio_sim, 1, INPUT).close()

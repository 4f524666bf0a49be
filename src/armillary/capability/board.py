# SPDX-License-Identifier: Apache-2.0
"""Boards: which peripherals a board brings out, and what each one is on the host that a device runs on.

A JSON object (RFC 8259, UTF-8). Keys, all case-sensitive; a key that is not listed is refused::

    SchemaVersion   int      1, required
    Name            string   required; lower-case words with hyphens, the name of its folder in content/boards
    About           string   required; one sentence for people
    Chip            string   required; name of a chip profile
    Keeps           string   name of the board configuration (content/boards/NAME.json) that it keeps from applications
    Wired           object   manifest key -> the board's name of a peripheral -> what it is on the host
    Simulated       object   manifest key -> names of peripherals, for Gpio [[first, last], ...]
    Devices         object   I2cMaster name -> address 0x08 to 0x77 -> first registers of a simulated device, hex

What a peripheral is on the host::

    Gpio            {"Node": "/dev/gpiochip0", "Line": 17}
    Uart            {"Node": "/dev/ttyS1"}
    I2cMaster       {"Node": "/dev/i2c-1"}
    SpiMaster       {"Nodes": ["/dev/spidev0.0", ...]}       one for each chip select, from 0
    Pwm             {"Node": "/sys/class/pwm/pwmchip0", "Channels": 4}
    Adc             {"Node": "/sys/bus/iio/devices/iio:device0", "Channels": 8, "Bits": 12}

A peripheral that stands in neither part is not on the board: an application that asks for it is not installed. What is
simulated says so to applications, and in the device's status.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field as dataclass_field
from typing import Any, Final

from armillary.capability.grant import Peripheral, PlatformLimits
from armillary.errors import ManifestError
from armillary.wire.image import manifest_field as field
from armillary.wire.image.app_manifest import decode_json

SCHEMA_VERSION: Final = 1
# The largest chip has some hundred peripherals; a line for each is 16 KiB.
LIMIT_BYTES: Final = 64 * 1024
SIMULATED_KEYS: Final = ("Gpio", "I2cMaster", "SpiMaster", "Pwm", "Adc", "I2sSubordinate")
CHIP_SELECT_LIMIT: Final = 8
CHANNEL_LIMIT: Final = 64
# 7-bit addresses that the I2C specification leaves to devices (UM10204 §3.1.12).
I2C_FIRST, I2C_LAST = 0x08, 0x77
REGISTER_LIMIT: Final = 256
# A simulated PWM or ADC controller has as many channels as an MT3620's largest.
SIMULATED_CHANNELS, SIMULATED_BITS = 8, 12
# Tones at simulated sound buses: whole steps, so that they repeat after few frames; below half of the lowest rate.
TONE_STEP_HZ, TONE_LIMIT_HZ = 100, 3_900

_WHAT: Final = "board"
_KEYS: Final = ("SchemaVersion", "Name", "About", "Chip", "Keeps", "Wired", "Simulated", "Devices")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_ADDRESS = re.compile(r"0x[0-7][0-9a-f]")
_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_NODES: Mapping[str, tuple[str, str]] = {
    "Gpio": (r"/dev/gpiochip[0-9]{1,4}", "/dev/gpiochip0"),
    "Uart": (r"/dev/[A-Za-z0-9._:/-]{1,200}", "/dev/ttyS1"),
    "I2cMaster": (r"/dev/i2c-[0-9]{1,4}", "/dev/i2c-1"),
    "SpiMaster": (r"/dev/spidev[0-9]{1,4}\.[0-9]{1,3}", "/dev/spidev0.0"),
    "Pwm": (r"/sys/class/pwm/pwmchip[0-9]{1,4}", "/sys/class/pwm/pwmchip0"),
    "Adc": (r"/sys/bus/iio/devices/iio:device[0-9]{1,4}", "/sys/bus/iio/devices/iio:device0"),
    "I2sSubordinate": (r"/dev/snd/pcmC[0-9]{1,3}D[0-9]{1,3}[cp]", "/dev/snd/pcmC0D0c"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """What one peripheral is on the host; which of the fields it has depends on its kind."""

    nodes: tuple[str, ...]  # one, but for SpiMaster and I2sSubordinate
    line: int = 0  # Gpio: offset at the chip
    channels: int = 1  # Pwm, Adc
    bits: int = SIMULATED_BITS  # Adc


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One board."""

    name: str
    about: str
    chip: str
    keeps: str | None = None
    wired: Mapping[Peripheral, Wired] = dataclass_field(default_factory=dict)
    simulated: frozenset[Peripheral] = frozenset()
    # I2cMaster name and address -> first registers
    devices: Mapping[tuple[str, int], bytes] = dataclass_field(default_factory=dict)

    @property
    def peripherals(self) -> frozenset[Peripheral]:
        """All that it brings out."""
        return self.simulated | self.wired.keys()

    def describe(self, peripheral: Peripheral) -> str:
        """What a peripheral of it is, for people: a node of the host, or that it is simulated."""
        found = self.wired.get(peripheral)
        if found is None:
            return "simulated"
        nodes = ", ".join(found.nodes)
        return f"line {found.line} of {nodes}" if peripheral.kind == "Gpio" else nodes

    @property
    def serial_ports(self) -> Mapping[str, str]:
        """Node of each serial port, by the board's name."""
        return {each.name: found.nodes[0] for each, found in self.wired.items() if each.kind == "Uart"}


def parse(data: bytes) -> Board:
    """Read a board. Raises ManifestError for what is none, with the place of the first fault."""
    document = decode_json(data, what=_WHAT, limit=LIMIT_BYTES)
    field.known_keys(document, _KEYS, _WHAT)
    version = field.required(document, "SchemaVersion")
    if field.integer(version, "SchemaVersion", None, minimum=0, maximum=2**31) != SCHEMA_VERSION:
        raise field.wrong("SchemaVersion", str(SCHEMA_VERSION), version)
    found = Board(
        name=_name(field.required(document, "Name"), "Name"),
        about=field.text(field.required(document, "About"), "About"),
        chip=_name(field.required(document, "Chip"), "Chip"),
        keeps=_name(document["Keeps"], "Keeps") if "Keeps" in document else None,
        wired=dict(_wired(document.get("Wired", {}))),
        simulated=frozenset(_simulated(document.get("Simulated", {}))),
        devices=dict(_devices(document.get("Devices", {}))),
    )
    _check(found)
    return found


def board_platform(platform: PlatformLimits, board: Board) -> PlatformLimits:
    """What a device of this chip on this board has: of the chip's peripherals those that the board brings out.

    Raises ManifestError if the board is of another chip, or brings out what the chip does not have.
    """
    if board.chip != platform.chip:
        raise ManifestError("Chip", expected=f"{platform.chip}, which this device has", got=board.chip)
    for each in sorted(board.peripherals, key=lambda one: (one.kind, one.name)):
        if each not in platform.peripherals:
            raise ManifestError(each.kind, expected=f"a peripheral of {platform.name}", got=each.name)
    return dataclasses.replace(
        platform, name=f"{platform.name} on board {board.name}", peripherals=frozenset(board.peripherals)
    )


def _check(board: Board) -> None:
    """What no part of a board shows alone: nothing twice, and devices at simulated controllers only."""
    twice = board.simulated & board.wired.keys()
    if twice:
        one = min(twice, key=lambda each: (each.kind, each.name))
        raise ManifestError(f"Simulated.{one.kind}", expected="peripherals that are not wired", got=one.name)
    owners: dict[tuple[str, int], Peripheral] = {}
    for peripheral, wired in board.wired.items():
        for node in wired.nodes:
            owner = owners.setdefault((node, wired.line), peripheral)
            if owner != peripheral:
                raise ManifestError(
                    f"Wired.{peripheral.kind}.{peripheral.name}",
                    expected="a node that nothing else is",
                    got=f"{node}, which is {owner.kind} {owner.name}",
                )
    for name, _ in board.devices:
        if Peripheral(kind="I2cMaster", name=name) not in board.simulated:
            raise ManifestError("Devices", expected="names of simulated I2cMaster peripherals", got=name)


def _wired(value: object) -> Iterator[tuple[Peripheral, Wired]]:
    for kind, names in _table(value, "Wired", tuple(_NODES)).items():
        for name, node in _table(names, f"Wired.{kind}", None).items():
            path = f"Wired.{kind}.{name}"
            yield _peripheral(kind, name, path), _READERS[kind](kind, node, path)


def _line(kind: str, value: object, path: str) -> Wired:
    document = _table(value, path, ("Node", "Line"))
    line = field.integer(field.required(document, "Line"), f"{path}.Line", None, minimum=0, maximum=65535)
    return Wired(nodes=(_node(kind, document.get("Node"), f"{path}.Node"),), line=line)


def _single(kind: str, value: object, path: str) -> Wired:
    return Wired(nodes=(_node(kind, _table(value, path, ("Node",)).get("Node"), f"{path}.Node"),))


def _selects(kind: str, value: object, path: str) -> Wired:
    nodes = _list(_table(value, path, ("Nodes",)).get("Nodes"), f"{path}.Nodes", CHIP_SELECT_LIMIT)
    if not nodes:
        raise field.wrong(f"{path}.Nodes", "one node for each chip select, or each way", "none")
    return Wired(nodes=tuple(_node(kind, node, f"{path}.Nodes[{number}]") for number, node in enumerate(nodes)))


def _ways(kind: str, value: object, path: str) -> Wired:
    """A sound bus: what comes in (a node that ends in c), what goes out (p), or both."""
    found = _selects(kind, value, path)
    ways = [node[-1] for node in found.nodes]
    if len(ways) != len(set(ways)):
        raise field.wrong(f"{path}.Nodes", "at most one node that ends in c, and one in p", ", ".join(found.nodes))
    return found


def _channels(kind: str, value: object, path: str) -> Wired:
    document = _table(value, path, ("Node", "Channels", "Bits") if kind == "Adc" else ("Node", "Channels"))
    return Wired(
        nodes=(_node(kind, document.get("Node"), f"{path}.Node"),),
        channels=field.integer(
            field.required(document, "Channels"), f"{path}.Channels", None, minimum=1, maximum=CHANNEL_LIMIT
        ),
        bits=field.integer(document.get("Bits", SIMULATED_BITS), f"{path}.Bits", None, minimum=1, maximum=32),
    )


_READERS: Mapping[str, Callable[[str, object, str], Wired]] = {
    "Gpio": _line,
    "Uart": _single,
    "I2cMaster": _single,
    "SpiMaster": _selects,
    "Pwm": _channels,
    "Adc": _channels,
    "I2sSubordinate": _ways,
}


def _simulated(value: object) -> Iterator[Peripheral]:
    for kind, names in _table(value, "Simulated", SIMULATED_KEYS).items():
        path = f"Simulated.{kind}"
        for number, each in enumerate(_list(names, path, field.PERIPHERAL_LIMIT)):
            if kind == "Gpio":
                first, last = (_pin(pin, path) for pin in _list(each, f"{path}[{number}]", 2, least=2))
                yield from (Peripheral(kind=kind, name=str(pin)) for pin in range(first, last + 1))
            else:
                yield _peripheral(kind, each, f"{path}[{number}]")


def _devices(value: object) -> Iterator[tuple[tuple[str, int], bytes]]:
    for name, devices in _table(value, "Devices", None).items():
        for address, registers in _table(devices, f"Devices.{name}", None).items():
            path = f"Devices.{name}.{address}"
            if not _ADDRESS.fullmatch(address) or not I2C_FIRST <= int(address, 16) <= I2C_LAST:
                raise field.wrong(path, f"an address from {I2C_FIRST:#04x} to {I2C_LAST:#04x}", address)
            if not isinstance(registers, str) or not _HEX.fullmatch(registers) or len(registers) > REGISTER_LIMIT * 2:
                raise field.wrong(path, f"at most {REGISTER_LIMIT} bytes in lower-case hex", registers)
            yield (name, int(address, 16)), bytes.fromhex(registers)


def _peripheral(kind: str, name: object, path: str) -> Peripheral:
    """A peripheral by its name, which is one that a manifest could have."""
    if kind == "Gpio":
        if not isinstance(name, str) or not name.isascii() or not name.isdigit() or str(int(name)) != name:
            raise field.wrong(path, "a pin number", name)
        return Peripheral(kind=kind, name=str(_pin(int(name), path)))
    (found,) = field.peripherals([name], path, 13, field.Context(names_allowed=False, storage_limit_kb=0))
    return Peripheral(kind=kind, name=found)


def _node(kind: str, value: object, path: str) -> str:
    pattern, example = _NODES[kind]
    if not isinstance(value, str) or not re.fullmatch(pattern, value) or ".." in value.split("/"):
        raise field.wrong(path, f"a node such as {example}", value)
    return value


def _pin(value: object, path: str) -> int:
    return field.integer(value, path, None, minimum=0, maximum=field.GPIO_PIN_LIMIT)


def _name(value: object, path: str) -> str:
    if not isinstance(value, str) or len(value) > 64 or not _NAME.fullmatch(value):
        raise field.wrong(path, "lower-case words joined with hyphens", value)
    return value


def _table(value: object, path: str, known: tuple[str, ...] | None) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise field.wrong(path, "an object", value)
    if known is not None:
        field.known_keys(value, known, path)
    return value


def _list(value: object, path: str, limit: int, *, least: int = 0) -> list[Any]:
    if not isinstance(value, list) or not least <= len(value) <= limit:
        raise field.wrong(path, f"an array of {least} to {limit} entries", value)
    return value

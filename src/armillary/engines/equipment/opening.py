# SPDX-License-Identifier: Apache-2.0
"""From the link that a profile names to a link that can be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from armillary.engines.equipment.framed_link import FramedLink
from armillary.engines.equipment.modbus_rtu import ModbusRtuLink, RtuBus
from armillary.engines.equipment.modbus_tcp import ModbusTcpLink
from armillary.engines.equipment.port import Link
from armillary.engines.equipment.serial_line import LineShape, SerialLine
from armillary.wire.equipment.faults import LinkLibraryMissingError
from armillary.wire.equipment.field import Place
from armillary.wire.equipment.profile import BacnetIp, FramedSerial, LinkSettings, ModbusRtu, ModbusTcp, OpcUa
from armillary.wire.equipment.profile_fields import LINKS

_PORT = Place("link").below("port")
# Serial lines with several units: the links that are opened with the same mapping share them.
Buses = MutableMapping[Path, RtuBus]


def open_link(
    settings: LinkSettings,
    serial_ports: Mapping[str, Path],
    overrides: Mapping[str, object],
    *,
    folder: Path,
    buses: Buses | None = None,
) -> Link:
    """Make the link of one piece of equipment; it connects when it is used.

    Args:
        settings: From the profile.
        serial_ports: The board's name of each port that the application was granted -> its node.
        overrides: What this piece of equipment has otherwise than its profile, by the names of the settings.
        folder: Where a link keeps a key of its own (OPC UA).
        buses: Of all links that may share a serial line.

    Raises:
        ProfileError: a setting that is none or out of its range, or a serial port that the application does not have.
        LinkLibraryMissingError: the link needs a library that is not here.
    """
    settings = with_overrides(settings, overrides)
    match settings:
        case ModbusTcp():
            return ModbusTcpLink(settings)
        case ModbusRtu():
            return ModbusRtuLink(settings, _bus(settings, serial_ports, {} if buses is None else buses))
        case FramedSerial():
            return FramedLink(settings, SerialLine(_port(settings, serial_ports), _shape(settings)))
        case OpcUa():
            with library("asyncua"):
                from armillary.engines.equipment.opcua import OpcUaLink  # noqa: PLC0415 - asyncua, for whom it is for
            return OpcUaLink(settings, folder)
        case BacnetIp():
            with library("bacpypes3"):
                from armillary.engines.equipment.bacnet import BacnetLink  # noqa: PLC0415 - bacpypes3, likewise
            return BacnetLink(settings)


@contextmanager
def library(name: str) -> Iterator[None]:
    """Import what needs a library that not every host has. Raises LinkLibraryMissingError where it is not here."""
    try:
        yield
    except ImportError as error:
        raise LinkLibraryMissingError(f"{name} cannot be loaded: {error}") from error


def with_overrides(settings: LinkSettings, overrides: Mapping[str, object]) -> LinkSettings:
    """Settings with some of them replaced, by the rules that a profile's own are read by.

    Raises:
        ProfileError: as :func:`open_link`.
    """
    place = Place("link")
    known = next(each for kind, each in LINKS.values() if kind is type(settings))
    for name in overrides:
        if name not in known:
            raise place.below(name).fault("form", f"one of {', '.join(known)}", "an unknown key")
    return replace(settings, **{name: known[name].read(value, place.below(name)) for name, value in overrides.items()})


def _port(settings: ModbusRtu | FramedSerial, serial_ports: Mapping[str, Path]) -> Path:
    if settings.port not in serial_ports:
        have = ", ".join(sorted(serial_ports)) or "none"
        raise _PORT.fault("reference", f"a serial port that the guardian was granted ({have})", settings.port)
    return serial_ports[settings.port]


def _shape(settings: ModbusRtu | FramedSerial) -> LineShape:
    return LineShape(settings.baud, settings.parity, settings.stop_bits)


def _bus(settings: ModbusRtu, serial_ports: Mapping[str, Path], buses: Buses) -> RtuBus:
    path, shape = _port(settings, serial_ports), _shape(settings)
    bus = buses.get(path)
    if bus is None or (bus.is_idle and bus.shape != shape):  # A newer profile may have another speed
        bus = buses[path] = RtuBus(SerialLine(path, shape))
    elif bus.shape != shape:
        raise _PORT.fault("duplicate", f"{settings.port} as another link has it, {bus.shape}", f"{shape}")
    return bus

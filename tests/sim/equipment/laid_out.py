# SPDX-License-Identifier: Apache-2.0
"""Small profiles that simulated machines are laid out by, for tests: each kind of value once."""

from __future__ import annotations

from armillary.wire.equipment.profile import (
    Command,
    FirmwareArea,
    FramedSerial,
    FrameField,
    FrameKind,
    ModbusAddress,
    ModbusTcp,
    Point,
    Profile,
    RecipeArea,
    RecipeField,
    Table,
)

COFFEE = Profile(
    name="guard/test",
    version=1,
    title="Test machine",
    manufacturer="Nobody",
    model="T-1",
    link=ModbusTcp(host="127.0.0.1", unit=7),
    groups={"fast": 1.0},
    points=(
        Point(name="brewTemp", address=ModbusAddress(Table.INPUT, 0), raw="u16", scale=0.1, unit="degreeCelsius"),
        Point(name="state", address=ModbusAddress(Table.INPUT, 1), raw="u8", states={0: "idle", 4: "cleaning"}),
        Point(name="shotsTotal", address=ModbusAddress(Table.INPUT, 10), raw="u32be"),
        Point(name="shotsTotalSwapped", address=ModbusAddress(Table.INPUT, 12), raw="u32le"),
        Point(name="firmwareVersion", address=ModbusAddress(Table.INPUT, 14), raw="u16"),
        Point(name="farAway", address=ModbusAddress(Table.INPUT, 200), raw="i16"),
        Point(name="simulated", address=ModbusAddress(Table.DISCRETE, 3), raw="bool"),
    ),
    commands=(
        Command(name="setBrewTemp", address=ModbusAddress(Table.HOLDING, 100), raw="u16", scale=0.1, low=85, high=96),
        Command(name="startClean", address=ModbusAddress(Table.COIL, 10), fixed=True),
    ),
    recipe=RecipeArea(
        address=200, words=8, slots=2, commit_coil=20,
        fields=(
            RecipeField(name="brewTemp", offset=0, raw="u16", scale=0.1, low=85, high=96),
            RecipeField(name="shotVolume", offset=1, raw="u16", scale=0.1, low=10, high=90),
        ),
    ),
    firmware=FirmwareArea(
        address=400, words=20, offset_address=390, write_coil=30, commit_coil=31, revert_coil=32,
        version="firmwareVersion", limit_bytes=400,
    ),
)  # fmt: skip

DISPENSER = Profile(
    name="guard/test-frames",
    version=1,
    title="Test dispenser",
    manufacturer="Nobody",
    model="D-1",
    link=FramedSerial(port="UART2"),
    groups={},
    frames=(
        FrameKind(kind=1, name="dispense", length=5),
        FrameKind(kind=2, name="status", length=4),
        FrameKind(kind=3, name="opportunity", length=4),
    ),
    points=(
        Point(name="dispenseCount", address=FrameField(1, 0), raw="u32le"),
        Point(name="flags", address=FrameField(1, 4), raw="u8", bits={7: "simulated"}),
        Point(name="batteryVoltage", address=FrameField(2, 0), raw="u16le", scale=0.001),
        Point(name="refillLeft", address=FrameField(2, 2), raw="u8"),
        Point(name="simulated", address=FrameField(2, 3), raw="bool"),
        Point(name="opportunityCount", address=FrameField(3, 0), raw="u32le"),
    ),
    commands=(
        Command(name="setDose", address=FrameField(0x81, 0), frame=0x81, raw="u16le", scale=0.01, low=0.4, high=1.5),
        Command(name="identify", address=None, frame=0x82),
    ),
)

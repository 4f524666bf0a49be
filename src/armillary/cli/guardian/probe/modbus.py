# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian probe``: what an unknown machine on Modbus answers. It only reads."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from armillary.cli.terminal.files import write_file
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, noun, record, table
from armillary.errors import InvalidArgumentError
from armillary.guard.discovery.drafting import UnitFound, draft_profile, ranges_text
from armillary.guard.discovery.permitting import UNITS
from armillary.guard.discovery.searching import TableFound
from armillary.wire.equipment.profile import LinkSettings, ModbusRtu, ModbusTcp

app = noun("What an unknown machine answers; it only reads.")

TABLE_COLUMNS = ("table", "answers", "changed", "refused", "silent", "not_asked")
# The board's name that a draft has for a serial port: the person who completes it knows the board.
SERIAL_PORT: Final = "UART2"
LAST_ADDRESS: Final = 65535
OBJECTS: Final[Mapping[int, str]] = {
    0: "vendor",
    1: "product_code",
    2: "revision",
    3: "vendor_url",
    4: "product_name",
    5: "model",
    6: "application",
}

UnitsOption = Annotated[
    str, typer.Option("--units", metavar="LIST", help="Units that are asked, such as 1 or 1-10,17.")
]
AddressesOption = Annotated[
    str, typer.Option("--addresses", metavar="FIRST-LAST", help="Addresses of each table, counted from 0.")
]
RateOption = Annotated[
    float, typer.Option("--rate", min=0.1, max=1000, metavar="N", help="At most so many requests a second.")
]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", min=0.01, max=60, metavar="SECONDS", help="How long a reply may take.")
]
ProfileOption = Annotated[
    Path | None,
    typer.Option("--profile", metavar="FILE", help="Write a draft of a profile, for the one unit that answers."),
]


@app.command("tcp")
def tcp(
    place: Annotated[str, typer.Argument(metavar="HOST[:PORT]", help="The machine, or a gateway.")],
    units: UnitsOption = "1-10",
    addresses: AddressesOption = "0-1023",
    rate: RateOption = 50.0,
    timeout: TimeoutOption = 0.5,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a machine on Modbus TCP.

    Which units answer, what they say they are, which addresses of the four tables answer, and which of these change.
    """
    host, _, port = place.partition(":")
    settings = ModbusTcp(host=host, port=_number(port or "502", 1, LAST_ADDRESS, "port"), timeout_s=timeout)
    link = {"protocol": "modbus-tcp", "host": host, "port": settings.port, "timeout_s": timeout}
    found = asyncio.run(_found(settings, None, units, addresses, rate))
    _show(found, link, profile, as_json=as_json)


@app.command("rtu")
def rtu(
    port: Annotated[Path, typer.Argument(metavar="PORT", help="The serial port, such as /dev/ttyUSB0.")],
    units: UnitsOption = "1-10",
    addresses: AddressesOption = "0-1023",
    rate: RateOption = 20.0,
    timeout: TimeoutOption = 0.3,
    baud: Annotated[
        str, typer.Option("--baud", metavar="LIST", help="Speeds that are tried, one after the other.")
    ] = "19200",
    parity: Annotated[str, typer.Option("--parity", metavar="LIST", help="Of E, N, O; tried like speeds.")] = "E",
    stop_bits: Annotated[int, typer.Option("--stop-bits", min=1, max=2, metavar="N", help="1 or 2.")] = 1,
    echo: Annotated[bool, typer.Option("--echo", help="The adapter gives back what is sent (two wires).")] = False,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask machines on a serial line with Modbus RTU.

    The first speed and parity by which a unit answers are kept. Nobody else may use the line meanwhile.
    """
    shapes = [(speed, each) for speed in baud.split(",") for each in parity.split(",")]
    found = Findings()
    settings = ModbusRtu(port=SERIAL_PORT)
    for speed, each in shapes:
        settings = ModbusRtu(
            port=SERIAL_PORT,
            baud=_number(speed, 1, 4_000_000, "baud"),
            parity=each,
            stop_bits=stop_bits,
            timeout_s=timeout,
            echo=echo,
        )
        found.add(asyncio.run(_found(settings, port, units, addresses, rate)))
        if found.units:
            break
    link = {
        "protocol": "modbus-rtu",
        "port": SERIAL_PORT,
        "baud": settings.baud,
        "parity": settings.parity,
        "stop_bits": settings.stop_bits,
        "timeout_s": timeout,
        "echo": echo,
    }
    _show(found, link, profile, as_json=as_json)


class Findings:
    """What the units behind one place answered."""

    def __init__(self) -> None:
        self.units: list[UnitFound] = []
        self.requests = 0
        self.damaged = 0

    def add(self, other: Findings) -> None:
        """Take what another try came to."""
        self.units += other.units
        self.requests += other.requests
        self.damaged += other.damaged


async def _found(settings: LinkSettings, port: Path | None, units: str, addresses: str, rate: float) -> Findings:
    from armillary.engines.equipment.discovery import Discovery, Search  # noqa: PLC0415 - no other command needs links
    from armillary.engines.equipment.opening import Buses, open_link  # noqa: PLC0415

    first, last = _span(addresses)
    search = Search(units=_units(units), first=first, last=last, requests_per_s=rate)
    ports = {} if port is None else {SERIAL_PORT: port}
    buses: Buses = {}
    discovery = Discovery(search, lambda unit: open_link(settings, ports, {"unit": unit}, folder=Path(), buses=buses))
    found = Findings()
    async for each in discovery.units():
        found.units.append(each)
    found.requests, found.damaged = discovery.requests, discovery.damaged
    return found


def _show(found: Findings, link: Mapping[str, object], profile: Path | None, *, as_json: bool) -> None:
    if profile is not None and len(found.units) == 1:
        write_file(profile, draft_profile(found.units[0], link).encode())
    document = {
        "link": dict(link),
        "requests": found.requests,
        "damaged": found.damaged,
        "units": [_document(each) for each in found.units],
    }
    shown = Shown(document)
    for each in found.units:
        head = {"unit": each.unit, **_named(each.identification)}
        tables = [_row(each, found_in) for found_in in each.tables]
        shown = shown.then(record(head), table(tables, TABLE_COLUMNS, empty=""), "")
    shown.then(*_notes(found, profile)).show(as_json=as_json)
    if profile is not None and len(found.units) != 1:
        raise InvalidArgumentError(
            f"{len(found.units)} units answer; a draft is of one", remedy="Name the unit: --units 1."
        )


def _notes(found: Findings, profile: Path | None) -> list[str]:
    notes = [f"{len(found.units)} units answer; {found.requests} requests, none of them wrote."]
    if found.damaged:
        notes.append("Something comes that is no Modbus: another speed or parity, perhaps, or another sender.")
    if any(each.not_asked for unit in found.units for each in unit.tables if each.known):
        notes.append("The search ended early: not all addresses were asked.")
    if profile is not None and len(found.units) == 1:
        notes.append(f"A draft is in {profile}. Next: armillary guardian profile check {profile}")
    return notes


def _named(identification: Mapping[int, str]) -> dict[str, str]:
    return {OBJECTS.get(each, f"object_{each}"): text for each, text in identification.items()}


def _row(unit: UnitFound, found: TableFound) -> dict[str, Any]:
    if not found.known:
        return {"table": found.table, "answers": "function not known"}
    answers = [address for span in found.answers for address in range(span.first, span.end)]
    changed = [address for span in found.answers for address in unit.changed(found.table, span)]
    return {
        "table": found.table,
        "answers": ranges_text(answers) or None,
        "changed": ranges_text(changed) or None,
        "refused": found.refused,
        "silent": found.silent,
        "not_asked": found.not_asked,
    }


def _document(unit: UnitFound) -> dict[str, Any]:
    tables = [
        {
            "table": each.table,
            "known": each.known,
            "answers": [{"first": span.first, "values": list(span.values)} for span in each.answers],
            "changed": [address for span in each.answers for address in unit.changed(each.table, span)],
            "refused": each.refused,
            "silent": each.silent,
            "not_asked": each.not_asked,
            "exceptions": {str(code): count for code, count in each.reasons.items()},
        }
        for each in unit.tables
    ]
    return {"unit": unit.unit, "identification": _named(unit.identification), "tables": tables}


def _span(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    begin = _number(first, 0, LAST_ADDRESS, "addresses")
    return begin, _number(last, begin, LAST_ADDRESS, "addresses") if dash else begin


def _units(text: str) -> list[int]:
    units: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        begin = _number(first, UNITS[0], UNITS[-1], "units")
        units += range(begin, (_number(last, begin, UNITS[-1], "units") if dash else begin) + 1)
    return list(dict.fromkeys(units))


def _number(text: str, low: int, high: int, name: str) -> int:
    if not re.fullmatch(r"[0-9]{1,8}", text) or not low <= int(text) <= high:
        raise InvalidArgumentError(f"{name}: expected {low} to {high}, got {text!r:.40}", remedy="Give such a number.")
    return int(text)

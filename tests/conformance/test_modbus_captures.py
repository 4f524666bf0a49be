# SPDX-License-Identifier: Apache-2.0
"""Recorded Modbus traffic that others published, hostile and not, put to the guard; foreign readers and writers of it.

Set ARMILLARY_ICS_DIR to a checkout of ITI/ICS-Security-Tools (its folder ``pcaps`` has Digital Bond's attacks, Zeek's
damaged captures and recordings of plants). Nothing of it is copied here. tshark and mbpoll are used where they are.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import struct
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from tests.fixtures.capture import capture_of, requests

from armillary import content
from armillary.content import equipment
from armillary.guard.allow_list import AllowList, ReadSpan
from armillary.guard.compiling import compile_profile
from armillary.guard.deciding import decide
from armillary.guard.sweep.second_reading import SecondReading
from armillary.wire.equipment.faults import GuardRefusedError
from armillary.wire.equipment.request import ModbusRequest

FOLDER = Path(os.environ.get("ARMILLARY_ICS_DIR") or "/nonexistent") / "pcaps"
TSHARK, MBPOLL, NMAP = shutil.which("tshark"), shutil.which("mbpoll"), shutil.which("nmap")
needs_captures = pytest.mark.skipif(
    not FOLDER.is_dir(),
    reason="no recorded Modbus traffic; to enable: git clone https://github.com/ITI/ICS-Security-Tools, and name that "
    "folder in ARMILLARY_ICS_DIR",
)
needs_tshark = pytest.mark.skipif(
    TSHARK is None, reason="no tshark, a second reader of Modbus; to enable: sudo apt-get install tshark"
)
needs_mbpoll = pytest.mark.skipif(
    MBPOLL is None, reason="no mbpoll, a foreign client; to enable: sudo apt-get install mbpoll"
)
needs_nmap = pytest.mark.skipif(NMAP is None, reason="no nmap, a scanner; to enable: sudo apt-get install nmap")

# File -> requests in it, and those of them that are well-formed reads
CAPTURES = {
    "ModbusTCP/modbus_test_data_part1.pcap": (22, 5),  # Digital Bond: listen only, restart, clear counters, lengths
    "ModbusTCP/modbus_test_data_part2.pcap": (141, 13),  # Digital Bond: a scan of all functions
    "bro/modbus/fuzz-72.pcap": (21, 0),
    "bro/modbus/fuzz-1011.pcap": (2, 2),
    "bro/modbus/modbusSmall.pcap": (16, 8),
    "bro/modbus/modbusBig.pcap": (2774, 1387),
    "ModbusTCP/Modbus/modbus_test.pcap": (1142, 1079),
    "ModbusTCP/Modbus/modbus_test_2.pcap": (3307, 3307),
    "ModbusTCP/ModbusTCP.pcap": (7990, 5861),
    "ModbusTCP/mb2.pcap": (1808, 1310),
}
# tshark waits for the bytes that a header announced and that never came; so it does not see what followed
AFTER_A_LIE = {"ModbusTCP/modbus_test_data_part1.pcap": 2}
LIMIT_S = 60


@cache
def asked(name: str) -> list[tuple[int, bytes]]:
    return list(requests((FOLDER / name).read_bytes()))


def is_permitted(allow: AllowList, unit: int, pdu: bytes) -> bool:
    try:
        decide(allow, ModbusRequest(unit, pdu))
    except GuardRefusedError:
        return False
    return True


@needs_captures
@pytest.mark.parametrize("capture", CAPTURES)
@pytest.mark.parametrize("name", ["coffee", "cable"])
def test_nothing_of_a_capture_reaches_a_machine_but_what_its_profile_lists(name, capture):
    """As it was sent, and as if it had been sent to the machine's own unit."""
    document, _ = equipment.read_yaml((content.folder("equipment") / f"{name}.yaml").read_bytes(), name)
    assert isinstance(document, dict)
    allow, reading = compile_profile(equipment.load(name)).allow, SecondReading(document)
    found = asked(capture)
    assert len(found) == CAPTURES[capture][0]
    for unit, pdu in found:
        for each in (unit, reading.unit):
            assert is_permitted(allow, each, pdu) is reading.allows(ModbusRequest(each, pdu))


@needs_captures
@pytest.mark.parametrize("capture", CAPTURES)
def test_a_guard_that_lists_the_reads_of_a_capture_permits_these_and_nothing_else(capture):
    """The positive control: the same requests, with a list made of what only reads."""
    found = asked(capture)
    reads = {
        (unit, ReadSpan(pdu[0], *struct.unpack(">HH", pdu[1:])))
        for unit, pdu in found
        if len(pdu) == 5 and 1 <= pdu[0] <= 4 and any(pdu[3:])
    }
    permitted: Counter[int] = Counter()
    for unit in {unit for unit, _ in found}:
        allow = AllowList(unit=unit, reads=frozenset(span for each, span in reads if each == unit))
        permitted.update(pdu[0] for each, pdu in found if is_permitted(allow, each, pdu) and each == unit)
    assert set(permitted) <= {1, 2, 3, 4}
    assert permitted.total() == CAPTURES[capture][1]


def shown_by_tshark(path: Path) -> list[tuple[int, int]]:
    """Unit and function of each request, as another reader of Modbus has them."""
    command = [str(TSHARK), "-r", str(path), "-d", "tcp.port==502,mbtcp", "-Y", "mbtcp && tcp.dstport==502"]
    fields = ["-T", "fields", "-E", "aggregator=;", "-e", "mbtcp.unit_id", "-e", "modbus.func_code"]
    options = ["-o", "tcp.desegment_tcp_streams:FALSE", "-o", "tcp.analyze_sequence_numbers:FALSE"]
    done = subprocess.run([*command, *fields, *options], capture_output=True, text=True, check=True, timeout=LIMIT_S)
    rows = (line.split("\t") for line in done.stdout.splitlines())
    return [
        (int(unit), int(function))
        for units, functions in rows
        for unit, function in zip(units.split(";"), functions.split(";"), strict=True)
        if function
    ]


@needs_captures
@needs_tshark
@pytest.mark.parametrize("capture", [name for name in CAPTURES if "fuzz" not in name])
def test_a_second_reader_sees_the_same_requests(capture):
    expected = [(unit, pdu[0] & 0x7F) for unit, pdu in asked(capture)]
    assert shown_by_tshark(FOLDER / capture) == expected[: len(expected) - AFTER_A_LIE.get(capture, 0)]


@needs_tshark
def test_a_second_reader_sees_what_the_guard_permits_as_what_it_is(tmp_path):
    """Every example of the coffee machine's profile: the same function, address and count in tshark's eyes."""
    allow = compile_profile(equipment.load("coffee")).allow
    pdus = [span.pdu for span in sorted(allow.reads, key=lambda span: span.pdu)]
    pdus += [bytes([6, 0, 100]) + raw.to_bytes(2, "big") for raw in (850, 930, 960)] + [
        bytes([5, 0, coil, 0xFF, 0]) for coil in (10, 20, 30, 31, 32)
    ]
    assert all(is_permitted(allow, 1, pdu) for pdu in pdus)

    def adus() -> Iterator[bytes]:
        for number, pdu in enumerate(pdus):
            yield struct.pack(">HHHB", number, 0, 1 + len(pdu), 1) + pdu

    path = tmp_path / "permitted.pcap"
    path.write_bytes(capture_of(adus()))
    assert shown_by_tshark(path) == [(1, pdu[0]) for pdu in pdus]


class Recorder:
    """Equipment behind the guard: answers writes that are permitted with themselves, and nothing else."""

    def __init__(self, allow: AllowList) -> None:
        self.allow = allow
        self.seen: list[tuple[int, bytes, bool]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readexactly(7)
                pdu = await reader.readexactly(int.from_bytes(head[4:6], "big") - 1)
                ok = is_permitted(self.allow, head[6], pdu)
                self.seen.append((head[6], pdu, ok))
                reply = pdu if ok else bytes([pdu[0] | 0x80, 1])
                writer.write(head[:4] + (1 + len(reply)).to_bytes(2, "big") + head[6:7] + reply)
        except (asyncio.IncompleteReadError, ConnectionResetError):
            writer.close()


@needs_mbpoll
def test_what_a_foreign_client_writes_is_judged_by_unit_place_and_value():
    async def play() -> Recorder:
        recorder = Recorder(compile_profile(equipment.load("coffee")).allow)
        server = await asyncio.start_server(recorder.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        for unit, table, first, *values in (
            (1, 4, 100, 930),
            (1, 4, 100, 5000),
            (1, 4, 100, 961),
            (2, 4, 100, 930),
            (1, 4, 101, 930),
            (1, 4, 100, 930, 930),
            (1, 0, 10, 1),
            (1, 0, 10, 0),
            (1, 0, 11, 1),
        ):
            command = [str(MBPOLL), "-m", "tcp", "-p", str(port), "-0", "-1", "-a", str(unit), "-t", str(table)]
            rest = ["-r", str(first), "127.0.0.1", *map(str, values)]
            await asyncio.to_thread(
                subprocess.run, [*command, *rest], capture_output=True, check=False, timeout=LIMIT_S
            )
        server.close()
        return recorder

    seen = asyncio.run(play()).seen
    assert [(unit, pdu[0], permitted) for unit, pdu, permitted in seen] == [
        (1, 6, True),
        (1, 6, False),
        (1, 6, False),
        (2, 6, False),
        (1, 6, False),
        (1, 16, False),
        (1, 5, True),
        (1, 5, False),
        (1, 5, False),
    ]


@needs_nmap
def test_a_scan_of_all_units_gets_nothing():
    """nmap's modbus-discover, in its aggressive form: server id and device identification of every unit."""

    async def play() -> Recorder:
        recorder = Recorder(compile_profile(equipment.load("coffee")).allow)
        server = await asyncio.start_server(recorder.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        command = [str(NMAP), "-sT", "-Pn", "-n", "-p", str(port), "--script", "+modbus-discover"]
        rest = ["--script-args", "modbus-discover.aggressive=true", "127.0.0.1"]
        await asyncio.to_thread(subprocess.run, [*command, *rest], capture_output=True, check=True, timeout=LIMIT_S)
        server.close()
        return recorder

    seen = asyncio.run(play()).seen
    assert {(unit, pdu[0]) for unit, pdu, _ in seen} == {
        (unit, function) for unit in range(1, 247) for function in (17, 43)
    }
    assert not any(permitted for _, _, permitted in seen)

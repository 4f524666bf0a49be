# SPDX-License-Identifier: Apache-2.0
"""From consent on the command line to the names of a dump's places, and to its end; who read it is in the audit log."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path

from tests.api.running_service import RunningService
from tests.cli.conftest import Command
from tests.fixtures.dumps import PROGRAM, dump
from tests.wire.image.test_elf_symbols import BUILD, elf

from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.crash_dump import CrashDump, Module, encode_dump, parse_dump
from armillary.wire.device.crash_record import Frame
from armillary.wire.device.update_status import UpdateStatus


def crashed() -> CrashDump:
    """A dump of the program whose symbols are uploaded: its step() has 0x40 bytes from 0x1000 on."""
    module = Module("app", BUILD, PROGRAM.begin, PROGRAM.size, PROGRAM.bias)
    made = dump(modules=(module,), registers=(("rip", PROGRAM.begin + 0x1010), ("rax", 7)))
    return replace(made, state=replace(made.state, frames=(Frame("app", BUILD, 0x1010, ""),)))


def collecting(armillary: Command, service: RunningService) -> tuple[list[str], WireDevice]:
    """A device of a group that collects full dumps; the options that name the group, and the device."""
    catalog = f"C-{uuid.uuid4().hex[:10]}"
    group = ["-c", catalog, "-p", "Kettle", "-dg", "Field"]
    assert armillary("catalog", "create", "-c", catalog).code == 0
    assert armillary("product", "create", "-p", "Kettle", "-c", catalog).code == 0
    assert armillary("device-group", "create", *group).code == 0
    device = service.make_device()
    assert armillary("device", "claim", *group, "--device", device.device_id).code == 0
    device.update_status, device.takes_consent = UpdateStatus(), True
    return group, device


def test_a_dump_is_collected_shown_got_deleted_and_erased(
    armillary: Command, service: RunningService, tmp_path: Path
) -> None:
    group, device = collecting(armillary, service)
    catalog = group[:2]
    with device:
        before = device.check_in().dumps
        changed = armillary("device-group", "update", *group, "--crash-dumps", "on")
        assert (changed.code, "Enabled" in changed.out) == (0, True)
        armillary("device-group", "set-crash-dumps", *group, "--stacks", "full", "--days", "7")
        assert (before, device.check_in().dumps) == (0, 2)
        for each in (crashed(), replace(crashed(), at=1)):
            assert device.exchange("POST", "/v1/crash-dump", encode_dump(each)).status == 200
    program = tmp_path / "app"
    program.write_bytes(elf())
    assert armillary("crash", "symbols", "add", *catalog, "--file", str(program)).code == 0
    _, first = armillary("crash-dump", "list", *catalog, "--json").json
    assert (first["device_id"], first["stack"], first["signal"]) == (device.device_id, "full", 11)
    shown = armillary("crash-dump", "show", *catalog, "--dump", first["dump_id"], "--json").json
    assert [(one["function"], one["offset"]) for one in shown["frames"]] == [("step", "0x1010")]
    assert shown["registers"][0] == {"name": "rip", "value": hex(PROGRAM.begin + 0x1010), "at": "app!step"}
    assert shown["cause"] == "SIGSEGV"
    text = armillary("crash-dump", "show", *catalog, "--dump", first["dump_id"])
    assert ("app!step" in text.out, "SIGSEGV" in text.out) == (True, True)
    file = tmp_path / "dump"
    assert armillary("crash-dump", "get", *catalog, "--dump", first["dump_id"], "--output-file", str(file)).code == 0
    assert parse_dump(file.read_bytes()) == crashed()
    audit = armillary("audit", "list", "--json").json
    assert [one["operation"] for one in audit if one["target"] == first["dump_id"]] == ["crash-dump.read"] * 3
    assert armillary("crash-dump", "delete", *catalog, "--dump", first["dump_id"], "--yes").code == 0
    state = armillary("device-group", "show-crash-dumps", *group, "--json").json
    assert (state["is_on"], state["stacks"], state["days"], state["dumps"]) == (True, "full", 7, 1)
    erased = armillary("device-group", "erase-crash-dumps", *group, "--yes")
    assert (erased.code, erased.err) == (0, "1 crash dumps are erased\n")
    assert armillary("crash-dump", "list", *catalog, "--json").json == []
    assert armillary("device-group", "update", *group, "--crash-dumps", "off").code == 0


def test_what_is_not_there_is_one_error(armillary: Command, service: RunningService) -> None:
    group, _ = collecting(armillary, service)
    for words in (("show",), ("get", "--output-file", "-"), ("delete", "--yes")):
        ran = armillary("crash-dump", *words, *group[:2], "--dump", str(uuid.uuid4()))
        assert (ran.code, "does not exist" in ran.err, "armillary crash-dump list" in ran.err) == (1, True, True)
    wrong = armillary("crash-dump", "show", *group[:2], "--dump", "x")
    assert wrong.code == 1
    assert armillary("device-group", "set-crash-dumps", *group, "--days", "9999").code == 1

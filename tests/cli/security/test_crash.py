# SPDX-License-Identifier: Apache-2.0
"""From a crash on a device over TLS to the name of the function that failed, on the command line."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.api.running_service import RunningService, wait_until
from tests.cli.conftest import Command
from tests.fixtures.reports import crash
from tests.wire.image.test_elf_symbols import BUILD, elf

from armillary.wire.device.crash_record import CrashRecord, Frame
from armillary.wire.device.update_status import UpdateStatus

CRASH = CrashRecord(
    signal=11, exit_code=None, build_id=BUILD, frames=(Frame("app", BUILD, 0x1010, ""),), registers=(("pc", 0x1010),)
)


def crashed(armillary: Command, service: RunningService) -> tuple[str, str]:
    """A catalog with a device that has told of two crashes, with and without a place; catalog and device id."""
    catalog = f"C-{uuid.uuid4().hex[:10]}"
    for words in (
        ("catalog", "create"),
        ("product", "create", "-p", "Kettle"),
        ("device-group", "create", "-p", "Kettle", "-dg", "Field"),
    ):
        assert armillary(*words, "-c", catalog).code == 0
    device = service.make_device()
    assert (
        armillary("device", "claim", "-c", catalog, "-p", "Kettle", "-dg", "Field", "--device", device.device_id).code
        == 0
    )
    device.update_status = UpdateStatus()
    ended = crash(sequence=2, event_type="AppExit", description="AppExit (exit_code=3; \x1b[31m)")
    with device:
        device.check_in(error_reports=(replace(crash(count=4), crash=CRASH), ended))
    wait_until(lambda: len(armillary("crash", "list", "-c", catalog, "--json").json) == 2, "the watch to group them")
    return catalog, device.device_id


def test_a_crash_gets_the_name_of_its_function(
    armillary: Command, service: RunningService, tmp_path: Path, service_log: Callable[[], None]
) -> None:
    service_log()
    catalog, device_id = crashed(armillary, service)
    told = armillary("device", "insights", "--device", device_id)
    assert ("AppCrash" in told.out, "app" in told.out, "\x1b" in told.out) == (True, True, False)
    assert len(armillary("device", "insights", "--device", device_id, "--json").json) == 2
    groups = {one["title"]: one for one in armillary("crash", "list", "-c", catalog, "--json").json}
    assert {title: (one["count"], one["devices"], one["basis"]) for title, one in groups.items()} == {
        "SIGSEGV in app+0x1000": (4, 1, "offset"),
        "exit 3": (1, 1, "exit"),
    }
    program = tmp_path / "app"
    program.write_bytes(elf())
    added = armillary("crash", "symbols", "add", "-c", catalog, "--file", str(program))
    assert (added.code, added.err) == (0, "1 reports have another group now\n")
    assert armillary("crash", "symbols", "list", "-c", catalog, "--json").json[0]["functions"] == 2
    named = next(one for one in armillary("crash", "list", "-c", catalog, "--json").json if one["basis"] == "function")
    assert (named["title"], named["count"]) == ("SIGSEGV in step", 4)
    shown = armillary("crash", "show", "-c", catalog, "--group", named["fingerprint"], "--json").json
    [report] = shown["reports"]
    assert report["device_id"] == device_id
    assert report["crash"]["registers"] == [["pc", 0x1010]]
    assert report["crash"]["frames"][0]["build_id"] == BUILD.hex()
    text = armillary("crash", "show", "-c", catalog, "--group", groups["exit 3"]["fingerprint"])
    assert "not known: nothing was captured" in text.out
    assert "\x1b" not in text.out + text.err
    assert armillary("crash", "symbols", "remove", "-c", catalog, "--build-id", BUILD.hex()).code == 0
    assert armillary("crash", "symbols", "list", "-c", catalog, "--json").json == []


def test_what_is_not_there_and_what_is_no_program_is_one_error(
    armillary: Command, service: RunningService, tmp_path: Path
) -> None:
    del service
    catalog = f"C-{uuid.uuid4().hex[:10]}"
    armillary("catalog", "create", "-c", catalog)
    ran = armillary("crash", "show", "-c", catalog, "--group", "0" * 32)
    assert (ran.code, "does not exist" in ran.err, "hint: List them: armillary crash list." in ran.err) == (
        1,
        True,
        True,
    )
    file = tmp_path / "text"
    file.write_text("#!/bin/sh\n", encoding="ascii")
    ran = armillary("crash", "symbols", "add", "-c", catalog, "--file", str(file))
    assert (ran.code, "expected an ELF file" in ran.err) == (1, True)
    ran = armillary("crash", "symbols", "remove", "-c", catalog, "--build-id", "00ff")
    assert (ran.code, "no symbols of build id 00ff" in ran.err) == (1, True)
    assert armillary("crash", "list", "-c", catalog).err == "Nothing has crashed.\n"

# SPDX-License-Identifier: Apache-2.0
"""What a build states of a start by U-Boot is what a start measured: one was recorded (its .json)."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from tests.wire.device_image.test_uboot_measurements import PARTS, flattened, slot_file

from armillary.attest.firmware_reference import FINAL, FirmwareReference, FirmwareStatement, from_json
from armillary.attest.tpm_quote import firmware_fault, quote_fault
from armillary.device_image.reference.document import uboot_reference_values
from armillary.wire.attestation.firmware_log import FirmwareLog
from armillary.wire.attestation.tcg_event_log import parse_log, replay
from armillary.wire.attestation.tpm_attestation import FIRMWARE_PCRS
from armillary.wire.device_image import uboot_measurements as measurements
from armillary.wire.device_image.boot_measurements import extended

CHIP = "gateway-imx8mp"
NOW = 1_800_000_000
RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("recorded_uboot_start.json").read_bytes())
FIRMWARE = FirmwareLog(bytes.fromhex(RECORDED["pcr_values"]), bytes.fromhex(RECORDED["log"]))
VALUES = RECORDED["reference_values"]["values"]
EV_SEPARATOR = 0x04
VERSION = b"U-Boot 2025.01 (Jan 01 2026 - 00:00:00 +0000)\0"


def fault(firmware: FirmwareLog | None, stated: list[dict[str, Any]] = VALUES) -> str:
    return FirmwareReference([FirmwareStatement(CHIP, from_json(stated))]).fault(CHIP, firmware, NOW)


def head() -> bytes:
    """The log's first entry, which says what the log is; it is in no PCR."""
    size = struct.unpack_from("<I", FIRMWARE.log, 28)[0]
    return FIRMWARE.log[: 32 + size]


def log_of(*events: tuple[int, bytes]) -> FirmwareLog:
    """The log of a start that measured these, and the PCR values that it replays to."""
    log = head()
    for pcr, digest in events:
        log += struct.pack("<III", pcr, EV_SEPARATOR, 1) + struct.pack("<H", 0x0B) + digest + struct.pack("<I", 0)
    after = replay(parse_log(log))
    return FirmwareLog(b"".join(after[pcr] for pcr in FIRMWARE_PCRS), log)


def recorded_events() -> list[tuple[int, bytes]]:
    return [(event.pcr, event.digest) for event in parse_log(FIRMWARE.log).events if event.event_type != 3]


def test_the_recorded_start_is_what_its_build_stated_and_its_tpm_quoted() -> None:
    said = quote_fault(
        bytes.fromhex(RECORDED["quote"]),
        bytes.fromhex(RECORDED["evidence"]),
        bytes.fromhex(RECORDED["log_head"]),
        bytes.fromhex(RECORDED["attestation_key"]),
        FIRMWARE,
    )
    assert said == ""
    assert firmware_fault(FIRMWARE) == ""
    assert fault(FIRMWARE) == ""
    assert fault(log_of(*recorded_events())) == "", "control: the log that tests write is judged as the recorded one"


def test_what_was_stated_follows_from_the_parts_of_the_file_and_from_the_program() -> None:
    digests = {name: bytes.fromhex(digest) for name, digest in RECORDED["parts"].items()}
    expected = [(0, measurements.version_value(VERSION))]
    expected += [(pcr, measurements.empty_value()) for pcr in (2, 7)]
    for slot in ("a", "b"):
        order = [digests[name] for name in ("kernel", "initial", f"tree-{slot}")]
        expected.append((4, extended([*order, measurements.SEPARATOR])))
    assert [(each["pcr"], bytes.fromhex(each["digest"])) for each in VALUES] == expected
    assert {each["kind"] for each in VALUES} == {FINAL}
    assert FIRMWARE.pcr_values[4 * 32 : 5 * 32] == expected[3][1], "slot a was started"


def test_the_document_is_calculated_of_the_file_and_the_program() -> None:
    made = uboot_reference_values(flattened(slot_file()), b"\0" + VERSION, chip=CHIP)
    assert [each["pcr"] for each in made["values"]] == [0, 2, 7, 4, 4]
    assert set(made["origins"].values()) == {"built"}
    assert made["values"][0]["digest"] == VALUES[0]["digest"]
    changed = {name: {"data": content + b"x"} for name, content in PARTS.items()}
    other = uboot_reference_values(flattened(slot_file(images=changed)), VERSION, chip=CHIP)
    assert not {each["digest"] for each in made["values"][3:]} & {each["digest"] for each in other["values"][3:]}


def test_a_start_that_measured_nothing_is_not_good() -> None:
    assert "no log of its firmware" in fault(None)
    assert fault(log_of()).startswith("PCR 0 (firmware): nothing was measured")


@pytest.mark.parametrize("kept", range(5))
def test_a_start_whose_measuring_failed_on_the_way_is_not_good(kept: int) -> None:
    before = [event for event in recorded_events() if event[1] != measurements.SEPARATOR][:kept]
    failed = log_of(*before, *((pcr, measurements.FAILED_SEPARATOR) for pcr in range(8)))
    assert fault(failed)
    without = log_of(*before, *((pcr, measurements.SEPARATOR) for pcr in range(8)))
    assert ("PCR 4" in fault(without)) == (kept < 4), "nothing of what is started may be left out"


def test_the_other_slots_tree_alone_is_another_start() -> None:
    parts = {name: bytes.fromhex(digest) for name, digest in RECORDED["parts"].items()}
    swapped = [(pcr, parts["tree-b"] if digest == parts["tree-a"] else digest) for pcr, digest in recorded_events()]
    assert fault(log_of(*swapped)) == "", "slot b of the same image"
    only_b = [each for each in VALUES if each["pcr"] != 4 or each is VALUES[-1]]
    assert fault(log_of(*swapped), only_b) == ""
    assert fault(FIRMWARE, only_b).startswith("PCR 4 (boot loader): holds ")

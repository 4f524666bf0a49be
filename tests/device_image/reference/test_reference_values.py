# SPDX-License-Identifier: Apache-2.0
"""What a build states of a boot is what a boot measured: one start of an image built here was recorded (its .json)."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.boot_partitions import pe_program
from tests.fixtures.source_code import ROOT

from armillary.attest.firmware_reference import FirmwareReference, FirmwareStatement, from_json, measured
from armillary.attest.tpm_quote import firmware_fault, quote_fault
from armillary.device_image import unified
from armillary.device_image.architecture.hardware import HARDWARE
from armillary.device_image.keys import secure_boot_keys
from armillary.device_image.reference import document, seen
from armillary.errors import InvalidArgumentError, WireError
from armillary.wire.attestation.firmware_log import FirmwareLog
from armillary.wire.attestation.tcg_event_log import parse_log, replay
from armillary.wire.attestation.tpm_attestation import FIRMWARE_PCRS
from armillary.wire.device_image import boot_measurements as measurements
from armillary.wire.device_image.authenticode import authenticode_digest
from armillary.wire.device_image.secure_boot_variables import encode_list, only_entry

CHIP = "gateway-x86-64"
NOW = 1_800_000_000
EV_EFI_ACTION = 0x8000_0007
RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("recorded_start.json").read_bytes())
FIRMWARE = FirmwareLog(bytes.fromhex(RECORDED["pcr_values"]), bytes.fromhex(RECORDED["log"]))
KEYS = {name: bytes.fromhex(content) for name, content in RECORDED["key_variables"].items()}
STUB = Path("/usr/lib/systemd/boot/efi/linuxx64.efi.stub")


def pcr(number: int) -> bytes:
    return FIRMWARE.pcr_values[32 * number : 32 * number + 32]


def values() -> list[dict[str, Any]]:
    return json.loads(json.dumps(RECORDED["reference_values"]["values"]))


def fault(stated: list[dict[str, Any]], firmware: FirmwareLog = FIRMWARE) -> str:
    return FirmwareReference([FirmwareStatement(CHIP, from_json(stated))]).fault(CHIP, firmware, NOW)


def quoted(firmware: FirmwareLog) -> str:
    return quote_fault(
        bytes.fromhex(RECORDED["quote"]),
        bytes.fromhex(RECORDED["evidence"]),
        bytes.fromhex(RECORDED["log_head"]),
        bytes.fromhex(RECORDED["attestation_key"]),
        firmware,
    )


def appended(firmware: FirmwareLog, number: int, digest: bytes) -> FirmwareLog:
    """The log with one more entry, and the PCR values that this log replays to."""
    entry = struct.pack("<III", number, EV_EFI_ACTION, 1) + struct.pack("<H", 0x0B) + digest + struct.pack("<I", 0)
    log = firmware.log + entry
    after = replay(parse_log(log))
    return FirmwareLog(b"".join(after[each] for each in FIRMWARE_PCRS), log)


def test_the_recorded_start_is_what_its_build_stated() -> None:
    assert quoted(FIRMWARE) == ""
    assert firmware_fault(FIRMWARE) == ""
    assert fault(values()) == ""
    assert RECORDED["reference_values"]["chip"] == CHIP


def test_the_keys_of_secure_boot_make_pcr_7() -> None:
    made = measurements.secure_boot(
        platform=KEYS["PK"], exchange=KEYS["KEK"], allowed=KEYS["db"], forbidden=KEYS["dbx"]
    )
    assert measurements.extended(each.digest for each in made) == pcr(7)
    stated = {(each["pcr"], each["digest"]) for each in values()}
    assert {(each.pcr, each.digest.hex()) for each in made} <= stated


def test_the_signed_image_makes_pcr_4() -> None:
    application = [each for each in values() if each["event_type"] == "EV_EFI_BOOT_SERVICES_APPLICATION"]
    assert len(application) == 1
    begin = [hashlib.sha256(content).digest() for content in (measurements.CALLING, bytes(4))]
    assert measurements.extended([*begin, bytes.fromhex(application[0]["digest"])]) == pcr(4)


def test_the_parts_of_the_unified_image_make_pcr_11() -> None:
    """The stub's events are in the log, though no quote covers them: their names, and what the TPM said at the start."""
    digests = [each.digest for each in parse_log(FIRMWARE.log).events if each.pcr == measurements.STUB_PCR]
    assert measurements.extended(digests).hex() == RECORDED["stub_pcr"] == RECORDED["reference_values"]["stub_pcr"]
    names = {hashlib.sha256(name.encode() + b"\0").digest(): name for name in measurements.STUB_SECTIONS}
    order = [names[each] for each in digests[::2]]
    assert order == [name for name in measurements.STUB_SECTIONS if name in order]


def test_another_build_that_the_right_key_signed_is_not_known() -> None:
    """Its rogue kernel may report any component: what the firmware measured of it is another program's digest."""
    stated = values()
    for each in stated:
        if each["event_type"] == "EV_EFI_BOOT_SERVICES_APPLICATION":
            each["digest"] = hashlib.sha256(b"another build").hexdigest()
    said = fault(stated)
    assert said.startswith("PCR 4 (boot loader): event 3 of 3 (EV_EFI_BOOT_SERVICES_APPLICATION) measured ")
    assert "PCR 7" not in said


def test_a_firmware_with_another_key_is_not_known() -> None:
    stranger = encode_list(b"another certificate", document.PLATFORM_KEY.vendor)
    others = measurements.secure_boot(
        platform=KEYS["PK"], exchange=KEYS["KEK"], allowed=stranger, forbidden=KEYS["dbx"]
    )
    kept = [each for each in values() if each["pcr"] != 7]
    said = fault([*kept, *({"pcr": 7, "digest": each.digest.hex()} for each in others)])
    assert said.startswith("PCR 7 (secure boot rules): event 4 of 7 (EV_EFI_VARIABLE_DRIVER_CONFIG)")


def test_a_log_with_an_entry_more_is_refused() -> None:
    extra = appended(FIRMWARE, 4, hashlib.sha256(measurements.RETURNING).digest())
    assert firmware_fault(extra) == "", "control: it replays to the values beside it"
    assert quoted(extra), "but the TPM did not quote these"
    assert firmware_fault(FirmwareLog(FIRMWARE.pcr_values, extra.log)), "and to what it quoted it does not replay"


@pytest.mark.parametrize("number", [0, 4, 7])
def test_a_log_of_another_digest_does_not_replay_to_the_quote(number: int) -> None:
    digest = next(each.digest for each in parse_log(FIRMWARE.log).events if each.pcr == number)
    changed = FirmwareLog(FIRMWARE.pcr_values, FIRMWARE.log.replace(digest, hashlib.sha256(digest).digest()))
    assert firmware_fault(changed)
    assert fault(values(), changed)


def test_a_start_that_gave_way_to_the_other_slot_is_known() -> None:
    stated = {(each["pcr"], each["digest"]) for each in values()}
    assert (4, hashlib.sha256(measurements.RETURNING).hexdigest()) in stated


def test_what_the_firmware_measured_of_itself_is_said_to_be_seen() -> None:
    origins = RECORDED["reference_values"]["origins"]
    assert {number: text.partition(" ")[0] for number, text in origins.items()} == {
        **dict.fromkeys("02", "seen"),
        "4": "built",
        "7": "built",
        "11": "built",
    }
    of_itself = {
        (each.pcr, each.digest) for each in measured(FIRMWARE) if each.pcr in (0, 2) and each.kind != "final-value"
    }
    stated = {(each["pcr"], bytes.fromhex(each["digest"])) for each in values() if each["pcr"] in (0, 2)}
    assert of_itself == stated


def test_a_firmware_that_nobody_has_seen_has_no_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    firmware = tmp_path / "firmware.fd"
    firmware.write_bytes(b"of tomorrow")
    monkeypatch.setattr(seen, "HARDWARE", {"x86_64": type("Of", (), {"firmware": firmware})})
    assert seen.seen_values(ROOT / "image", "x86_64") == ("", ())
    digest = hashlib.sha256(b"of tomorrow").hexdigest()
    (tmp_path / seen.FILE).write_text(
        f'[[firmware]]\npackage = "tomorrow 1"\nsha256 = "{digest}"\nvalues = [{{pcr = 0, digest = "{digest}"}}]\n'
    )
    package, (value,) = seen.seen_values(tmp_path, "x86_64")
    assert (package, value.pcr, value.digest.hex()) == ("tomorrow 1", 0, digest)
    (tmp_path / seen.FILE).write_text(
        f'[[firmware]]\npackage = "tomorrow 1"\nsha256 = "{digest}"\nvalues = [{{pcr = 1}}]\n'
    )
    with pytest.raises(InvalidArgumentError, match="one of 0, 2, 4, 7"):
        seen.seen_values(tmp_path, "x86_64")
    assert HARDWARE["x86_64"].firmware.name.endswith(".fd")


def test_what_signing_writes_is_not_in_the_digest_and_all_else_is() -> None:
    plain = pe_program()
    optional = 64 + 24
    expected = plain[: optional + 64] + plain[optional + 68 : optional + 144] + plain[optional + 152 :]
    assert authenticode_digest(plain) == hashlib.sha256(expected).digest()
    assert authenticode_digest(pe_program(certificates=b"signature" * 8, checksum=77)) == authenticode_digest(plain)
    changed = bytearray(plain)
    changed[-1] ^= 1
    assert authenticode_digest(bytes(changed)) != authenticode_digest(plain)


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"MZ",
        pe_program()[:90],
        pe_program()[:520],
        b"ELF" + pe_program()[3:],
        pe_program(certificates=b"x" * 8) + b"more",
    ],
)
def test_what_is_no_whole_program_has_no_digest(damaged: bytes) -> None:
    with pytest.raises(WireError):
        authenticode_digest(damaged)


@pytest.mark.skipif(
    shutil.which("osslsigncode") is None or not STUB.exists(),
    reason="osslsigncode or systemd's stub is missing: scripts/install-image-tools",
)
def test_osslsigncode_calculates_the_same_digest(tmp_path: Path) -> None:
    signed = unified.sign(STUB.read_bytes(), secure_boot_keys(tmp_path)["signing"])
    (tmp_path / "signed.efi").write_bytes(signed)
    done = subprocess.run(
        ["osslsigncode", "verify", "-in", str(tmp_path / "signed.efi")], capture_output=True, text=True, check=False
    )
    (said,) = re.findall(r"Calculated message digest *: *([0-9A-F]{64})", done.stdout)
    assert authenticode_digest(signed).hex() == said.lower()


@pytest.mark.parametrize("content", [b"", KEYS["db"][:-1], KEYS["db"] * 2])
def test_a_list_of_keys_that_has_not_one_entry_is_refused(content: bytes) -> None:
    with pytest.raises(WireError, match="one certificate"):
        only_entry(content)

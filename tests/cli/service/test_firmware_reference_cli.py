# SPDX-License-Identifier: Apache-2.0
"""``armillary attestation-policy firmware``, from the command line to the records and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.api.native.service.test_native_firmware import told
from tests.api.running_service import RunningService
from tests.attest.test_firmware_reference import digest
from tests.cli.conftest import Command

FIRMWARE = ("attestation-policy", "firmware")


@pytest.fixture
def device(service: RunningService) -> str:
    made = service.make_device().device_id
    told(service, made)
    return made


def test_a_good_devices_firmware_is_shown_taken_listed_and_removed(
    armillary: Command, catalog: str, device: str
) -> None:
    assert armillary(*FIRMWARE, "list", "-c", catalog).err == (
        "No reference values are stated: firmware is not compared.\n"
    )
    shown = armillary(*FIRMWARE, "show", "-d", device)
    assert shown.err == "Chip mt3620, first told 2026-09-21T14:13:20Z.\n"
    assert [line.split()[:3] for line in shown.out.splitlines()] == [
        ["kind", "pcr", "measures"],
        ["measurement", "0", "firmware"],
        ["final-value", "0", "firmware"],
        ["measurement", "2", "drivers"],
        ["final-value", "2", "drivers"],
        ["measurement", "4", "boot"],
        ["measurement", "4", "boot"],
        ["final-value", "4", "boot"],
        ["measurement", "7", "secure"],
        ["final-value", "7", "secure"],
    ]
    asked = armillary(*FIRMWARE, "take", "-d", device, "-c", catalog, stdin="n\n")
    assert asked.code == 1
    assert "5 reference values, 5 new, for chip mt3620" in asked.err
    assert "They are the first for mt3620: its devices with a TPM must then send their log." in asked.err
    assert f"EV_EFI_BOOT_SERVICES_APPLICATION  {digest('boot loader').hex()}" in asked.out
    assert armillary(*FIRMWARE, "list", "-c", catalog, "--json").json == []
    taken = armillary(*FIRMWARE, "take", "-d", device, "-c", catalog, "--expires", "2100-01-01", "-y", "--json")
    made: dict[str, Any] = taken.json
    assert (made["chip"], made["note"], made["expires_at"]) == (
        "mt3620", f"taken from device {device[:16]}...", 4_102_444_800,
    )  # fmt: skip
    assert {value["kind"] for value in made["values"]} == {"measurement"}
    final = armillary(*FIRMWARE, "take", "-d", device, "-c", catalog, "--final-values", "-y")
    assert "They are the first" not in final.err
    listed = armillary(*FIRMWARE, "list", "-c", catalog).out.splitlines()
    assert len(listed) == 3
    (with_measurements,) = (line for line in listed if "PCR 0: 1, PCR 2: 1, PCR 4: 2, PCR 7: 1" in line)
    assert "2100-01-01T00:00:00Z" in with_measurements
    (with_final_values,) = (line for line in listed if "PCR 0: 1, PCR 2: 1, PCR 4: 1, PCR 7: 1" in line)
    assert "no end" in with_final_values
    assert armillary(*FIRMWARE, "remove", "-c", catalog, "--id", made["statement_id"], stdin="n\n").code == 1
    assert armillary(*FIRMWARE, "remove", "-c", catalog, "--id", made["statement_id"], "-y").code == 0
    assert len(armillary(*FIRMWARE, "list", "-c", catalog).out.splitlines()) == 2


def test_values_in_a_file_are_added(armillary: Command, catalog: str, device: str, tmp_path: Path) -> None:
    file = tmp_path / "values.json"
    file.write_text(armillary(*FIRMWARE, "show", "-d", device, "--json").out)
    made = armillary(*FIRMWARE, "add", str(file), "-c", catalog, "-y", "--json").json
    assert (made["chip"], len(made["values"])) == ("mt3620", 9)
    loader = json.dumps([{"pcr": 4, "digest": "cd" * 32}])
    added = armillary(
        *FIRMWARE, "add", "-", "-c", catalog, "--chip", "imx8mp", "--note", "loader 2", "-y", stdin=loader
    )
    assert added.code == 0
    assert "Nothing is stated for PCR 0 (firmware), 2 (drivers and option ROMs), 7 (secure boot rules)" in added.err
    assert "loader 2" in added.out


def test_a_catalog_that_accepts_chips_without_values_is_told(
    armillary: Command, catalog: str, device: str, tmp_path: Path
) -> None:
    """A machine that enrols as such a chip is compared with nothing: it is said while they are stated, until it is not so."""
    file = tmp_path / "values.json"
    file.write_text(armillary(*FIRMWARE, "show", "-d", device, "--json").out)

    def told(*verb: str) -> str:
        ran = armillary(*FIRMWARE, *verb, "-c", catalog, "-y")
        assert ran.code == 0, ran.err
        return " ".join(ran.err.split())

    def accept(*chips: str) -> None:
        options = [part for chip in chips for part in ("--chip", chip)]
        assert armillary("attestation-policy", "set", "-c", catalog, *options, "-y").code == 0

    only = f"armillary attestation-policy set --catalog {catalog} --chip mt3620"
    any_chip = told("take", "-d", device)
    assert f"Catalog {catalog} accepts any chip: firmware of a machine that is enrolled as another chip" in any_chip
    assert any_chip.endswith(only)
    accept("mt3620", "gateway-arm64", "imx8mp")
    both = told("add", str(file))
    assert f"Catalog {catalog} accepts chips without reference values (gateway-arm64, imx8mp): firmware" in both
    assert both.endswith(only)
    accept("mt3620")
    assert f"Catalog {catalog} accepts" not in told("add", str(file))
    accept("mt3620", "imx8mp")
    assert f"Catalog {catalog} accepts" not in told("add", str(file), "--chip", "imx8mp"), "with these both have values"


@pytest.mark.parametrize(
    ("text", "options", "named"),
    [
        ("{", (), "expected a JSON document"),
        ("{}", ("--chip", "imx8mp"), "values: expected a list of"),
        ('[{"pcr": 5, "digest": ""}]', ("--chip", "imx8mp"), "pcr: expected one of 0, 2, 4, 7"),
        ('[{"pcr": 4, "digest": "' + "00" * 32 + '"}]', (), "the file names no chip"),
        ('[{"pcr": 4, "digest": "' + "00" * 32 + '"}]', ("--chip", "z80"), "z80"),
        ('[{"pcr": 4, "digest": "' + "00" * 32 + '"}]', ("--chip", "imx8mp", "--expires", "soon"), "expected a date"),
    ],
)
def test_what_is_no_file_of_values_is_refused(
    armillary: Command, catalog: str, tmp_path: Path, text: str, options: tuple[str, ...], named: str
) -> None:
    file = tmp_path / "values.json"
    file.write_text(text)
    ran = armillary(*FIRMWARE, "add", str(file), "-c", catalog, "-y", *options)
    assert ran.code != 0
    assert named in ran.err
    assert "Traceback" not in ran.err
    assert (str(file) in ran.err) == (options in ((), ("--chip", "imx8mp")))


def test_a_device_that_never_told_says_so(armillary: Command, service: RunningService, catalog: str) -> None:
    ran = armillary(*FIRMWARE, "take", "-d", service.make_device().device_id, "-c", catalog, "-y")
    assert ran.code == 1
    assert "has no recorded log of its firmware" in ran.err

# SPDX-License-Identifier: Apache-2.0
"""``armillary capability explain``: what it prints, which names it resolves, and what it says of faults."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.cli.conftest import exits
from tests.fixtures import images

from armillary.wire.image import application

DEFINITION = {"Metadata": {"Type": "Azure Sphere Hardware Definition", "Version": 1}}
EXPLAIN = ("capability", "explain")


def written(path: Path, component: int = 1, **capabilities: Any) -> str:
    made = images.manifest("blink", UUID(int=component), Capabilities=capabilities)
    path.write_text(json.dumps(made), "utf-8")
    return str(path)


@pytest.fixture
def definitions(tmp_path: Path) -> str:
    """A board's definition that maps to its chip's, in another folder."""
    (tmp_path / "sdk").mkdir()
    chip = [{"Name": "C9", "Type": "Gpio", "MainCoreHeaderValue": "(9)", "AppManifestValue": 9}]
    (tmp_path / "sdk" / "chip.json").write_text(json.dumps({**DEFINITION, "Peripherals": chip}))
    board = {
        **DEFINITION,
        "Imports": [{"Path": "chip.json"}],
        "Peripherals": [{"Name": "LED", "Type": "Gpio", "Mapping": "C9"}],
    }
    (tmp_path / "board.json").write_text(json.dumps(board))
    return f"{tmp_path / 'board.json'},{tmp_path / 'sdk'}"


def test_a_source_manifest_is_explained_with_its_names_resolved(
    tmp_path: Path, definitions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "m.json", Gpio=["$LED"], AllowedConnections=["hub.example.com"], WifiConfig=True)
    exits(0, *EXPLAIN, file, "--hardware-definitions", definitions, "--json")
    found = json.loads(capsys.readouterr().out)
    assert (found["application"], found["chip"], found["board"]) == ("blink", "MediaTek MT3620", None)
    assert found["installed"] is True
    answers = {each["capability"]: each for each in found["capabilities"]}
    assert answers["Gpio"]["asked"] == "9"
    assert answers["AllowedConnections"]["held_by"]["linux"]["host-names"][0].startswith("hub.example.com: ")
    assert set(found["always"]) == {"linux", "crun", "reduced", "process"}
    exits(0, *EXPLAIN, file, "--hardware-definitions", definitions)
    text = capsys.readouterr().out
    assert re.search(r"^AllowedConnections +granted +hub\.example\.com +host-names *$", text, re.MULTILINE)
    assert "  AllowedConnections  connections to these hosts, any port, TCP and UDP\n" in text
    assert (
        "  AllowedConnections  EACCES, or no such name, for every other host; reported as ConnectionBlocked\n" in text
    )


def test_what_the_board_keeps_and_another_owns_is_refused_with_the_error_of_azure_sphere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "m.json", Gpio=[5, 8])
    other = written(tmp_path / "other.json", component=2, Gpio=[8])
    exits(0, *EXPLAIN, file)
    capsys.readouterr()
    exits(1, *EXPLAIN, file, "--board", "lan-enc28j60-isu0-int5", "--beside", other, "--json")
    refused = json.loads(capsys.readouterr().out)["refused"]
    assert [(each["got"].split(",")[0], each["azure_error"]) for each in refused] == [("5", 5242888), ("8", 5242888)]
    exits(1, *EXPLAIN, file, "--board", "lan-enc28j60-isu0-int5")
    text = capsys.readouterr().out
    assert "installed     no" in text
    assert "which shares pin 5 with component 5f1fd2a4-4a0b-4d0f-9e0c-6f3b1c9a7e21 (Azure Sphere error 5242888)" in text


def test_the_chip_of_the_board_is_taken_and_another_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "m.json", Uart=["UART2"])
    exits(0, *EXPLAIN, file, "--chip", "imx8mp")
    capsys.readouterr()
    exits(1, *EXPLAIN, file, "--chip", "imx8mp", "--board", "lan-enc28j60-isu0-int5")
    assert "Chip: expected imx8mp, which this device has, got mt3620" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("capabilities", "said"),
    [
        ({"Gpio": ["$LED"]}, "m.json: Capabilities.Gpio: expected a name of a hardware definition, got $LED"),
        ({"Gpio": ["8"]}, "m.json: Capabilities.Gpio[0]: expected a peripheral's value or $NAME, got 8"),
        ({"Camera": True}, "m.json: Capabilities: expected known keys only, got the unknown key 'Camera'"),
    ],
)
def test_a_manifest_that_breaks_a_rule_is_said_with_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], capabilities: dict[str, Any], said: str
) -> None:
    exits(1, *EXPLAIN, written(tmp_path / "m.json", **capabilities))
    assert said in capsys.readouterr().err


def test_files_that_are_not_there_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exits(1, *EXPLAIN, str(tmp_path / "nothing.json"))
    assert "nothing.json: expected a readable file" in capsys.readouterr().err
    exits(1, *EXPLAIN, written(tmp_path / "m.json"), "--board", "nothing")
    assert "--board: expected a file or one of gateway-arm64-simulated, " in capsys.readouterr().err


def test_a_board_says_what_each_peripheral_is_and_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "m.json", Gpio=["$LED", 20], I2cMaster=["$THERMOMETER_I2C"])
    exits(0, *EXPLAIN, file, "--board", "mt3620-simulated", "--json")
    answers = {each["capability"]: each for each in json.loads(capsys.readouterr().out)["capabilities"]}
    assert answers["Gpio"]["held_by"]["linux"]["device"][1:] == ["8: simulated", "20: simulated"]
    assert answers["I2cMaster"]["asked"] == "ISU1"
    board = {
        "SchemaVersion": 1,
        "Name": "small",
        "About": "A board with one pin.",
        "Chip": "mt3620",
        "Wired": {"Gpio": {"8": {"Node": "/dev/gpiochip0", "Line": 3}}},
    }
    (tmp_path / "small.json").write_text(json.dumps(board))
    pins = written(tmp_path / "pins.json", Gpio=[8, 9])
    exits(0, *EXPLAIN, pins)  # positive control: the chip has both
    capsys.readouterr()
    exits(1, *EXPLAIN, pins, "--board", str(tmp_path / "small.json"), "--json")
    (refused,) = json.loads(capsys.readouterr().out)["refused"]
    assert (refused["expected"], refused["got"]) == ("a peripheral of MediaTek MT3620 on board small", "9")
    assert refused["azure_error"] == 2097165


def test_an_image_package_is_explained_as_its_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "app.imagepackage"
    file.write_bytes(images.package(images.manifest("packed", UUID(int=1), Capabilities={"Gpio": [8]}), SCRIPT))
    exits(0, *EXPLAIN, str(file), "--json")
    assert json.loads(capsys.readouterr().out)["application"] == "packed"
    file.write_bytes(b"{}")
    exits(1, *EXPLAIN, str(file))
    assert "error:" in capsys.readouterr().err


def test_the_engine_that_encloses_nothing_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exits(0, *EXPLAIN, written(tmp_path / "m.json", MutableStorage={"SizeKB": 8}), "--engine", "process")
    printed = capsys.readouterr()
    assert "MutableStorage  recorded" not in printed.out
    assert "encloses nothing" in printed.err


def program(machine: int) -> bytes:
    """The beginning of an ELF file of 64 bits for a processor."""
    return struct.pack("<4s5B7xHH", b"\x7fELF", 2, 1, 1, 0, 0, 2, machine).ljust(64, b"\0")


SCRIPT = b"#!/usr/bin/env python3\n"


@pytest.mark.parametrize(
    ("files", "changes", "options", "said"),
    [
        ({"bin/app": SCRIPT}, {}, ["--board", "mt3620-simulated"], ""),
        ({"bin/app": program(62)}, {}, ["--chip", "gateway-x86-64"], ""),
        (
            {"bin/app": program(62).ljust(3_700_000, b"\0")},
            {},
            ["--board", "mt3620-simulated"],
            "at most 1048576 bytes",
        ),
        ({"bin/app": program(62)}, {}, ["--board", "imx8mp-gateway"], "expected programs for aarch64, which"),
        ({"bin/app": program(183)}, {}, ["--chip", "gateway-x86-64"], "got programs for aarch64"),
        ({"bin/app": b"#!/bin/sh\n"}, {}, [], "got a script for /bin/sh"),
        ({"bin/app": b"#!/bin/sh\n"}, {}, ["--engine", "crun"], "got a script for /bin/sh"),
        ({"bin/app": b"#!/bin/sh\n"}, {}, ["--engine", "reduced"], ""),
        ({"bin/app": b"#! /bin/sh -e\n", "bin/sh": SCRIPT}, {}, [], ""),
        ({"bin/app": SCRIPT, "etc/app.conf": b"x"}, {}, [], "expected no etc at the top"),
        ({"bin/app": b"#!/bin/sh\n"}, {"ApplicationType": "RealTimeCapable"}, [], "expected firmware, an ELF file"),
    ],
)
def test_an_image_is_looked_at_as_a_device_does(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    files: dict[str, bytes],
    changes: dict[str, Any],
    options: list[str],
    said: str,
) -> None:
    made = images.manifest("blink", UUID(int=1), **changes)
    folder = tmp_path / "blink"
    for name, content in {**files, "app_manifest.json": json.dumps(made).encode()}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    exits(0, *EXPLAIN, str(folder / "app_manifest.json"), *options)
    assert "image         not looked at" in capsys.readouterr().out
    package = tmp_path / "blink.imagepackage"
    signed = application.pack(
        {**files, "app_manifest.json": json.dumps(made).encode()},
        image_id=UUID(int=2),
        built=0,
        key=images.P256[0],
        certificate=images.P256[1],
    )
    package.write_bytes(signed)
    for given in (folder, package):
        exits(1 if said else 0, *EXPLAIN, str(given), *options)
        assert said in capsys.readouterr().out

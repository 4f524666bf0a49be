# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian image`` and ``run``: the file that describes a guardian is read whole, or named what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import exits

from armillary import content
from armillary.guardian import process
from armillary.guardian.configuration import GuardianConfiguration
from armillary.guardian.surroundings import Surroundings
from armillary.wire.equipment.signed_file import read_envelope

CATALOG = "35776aa2-ab9d-43b2-8353-456bf70abf54"
MACHINE = "{name: espresso1, profile: guard/coffee, link: {port: UART2}}"


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The development key of these tests is theirs."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def described(tmp_path: Path, *lines: str, machine: str = MACHINE) -> str:
    path = tmp_path / "guardian.yaml"
    head = f"name: corner\ncatalog: {CATALOG}\nhub: hub.example\n"
    path.write_text(f"{head}equipment:\n  - {machine}\n" + "".join(f"{line}\n" for line in lines))
    return str(path)


def test_an_image_has_the_grants_of_its_equipment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = described(tmp_path, "storage_kb: 4096")
    exits(0, "guardian", "image", "--config", config, "--output-directory", str(tmp_path / "image"), "--json")
    assert json.loads(capsys.readouterr().out)["uart"] == ["UART2"]
    manifest = json.loads((tmp_path / "image" / "app_manifest.json").read_text())
    assert manifest["Capabilities"] == {
        "AllowedConnections": ["hub.example"],
        "Uart": ["UART2"],
        "MutableStorage": {"SizeKB": 4096},
        "DeviceAuthentication": CATALOG,
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("profile_keys: 5", "expected 'profile_keys' to be a list of files"),
        ("profile_keys: profile.pem", "expected 'profile_keys' to be a list of files"),
        ("profile_keys: [7]", "expected 'profile_keys' to be a list of files"),
        ("profile_keys: [none.pem]", "none.pem: expected a readable file"),
        ("storage_kb: many", "MutableStorage"),
        ("storage_kb: 0.5", "MutableStorage"),
        ("component: 7", "ComponentId"),
        ("color: red", "color"),
    ],
)
def test_a_member_that_is_wrong_is_named_and_nothing_is_written(
    line: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exits(1, "guardian", "image", "--config", described(tmp_path, line), "--out", str(tmp_path / "image"))
    assert said in capsys.readouterr().err
    assert not (tmp_path / "image").exists()


def test_a_profile_that_no_key_of_the_image_signed_is_refused_where_it_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its guardian would refuse it, on the device."""
    exits(0, "guardian", "profile", "key", "new", "--out", str(tmp_path / "other.pem"))
    key, signed = str(tmp_path / "other.pem"), str(tmp_path / "coffee.dsse")
    exits(0, "guardian", "profile", "sign", "coffee", "--key", key, "--out", signed)
    machine = MACHINE.replace("guard/coffee", "coffee.dsse")
    arguments = (
        "guardian",
        "image",
        "--config",
        described(tmp_path, machine=machine),
        "--out",
        str(tmp_path / "image"),
    )
    exits(1, *arguments)
    said = capsys.readouterr().err
    assert "the profile of espresso1: signed file: expected a signature of a trusted key" in said
    assert not (tmp_path / "image").exists()
    exits(0, *arguments, "--key", key)


@pytest.mark.parametrize(
    ("place", "code"), [("{port: UART2}", 1), ("{port: UART2, timeout_s: 1}", 1), ("{port: UART2, unit: 2}", 0)]
)
def test_one_machine_has_one_guard(place: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = f"{MACHINE}\n  - {{name: espresso2, profile: guard/coffee, link: {place}}}"
    exits(code, "guardian", "image", "--config", described(tmp_path, machine=both), "--out", str(tmp_path / "image"))
    assert ("equipment espresso2: expected another place than that of espresso1" in capsys.readouterr().err) == code


def test_each_machine_has_the_profile_that_its_entry_names(tmp_path: Path) -> None:
    """Files of one name in several folders, and one with the name that another would get."""
    text = (content.folder("equipment") / "coffee.yaml").read_text("utf-8")
    named = ("coffee-2.yaml", "a/coffee.yaml", "b/coffee.yaml", "c/coffee.yaml", "a/coffee.yaml")
    for number, name in enumerate(named[:-1], 11):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text.replace("version: 3", f"version: {number}"), "utf-8")
    machines = [
        f"{{name: espresso{at}, profile: {name}, link: {{port: UART{at}}}}}" for at, name in enumerate(named, 1)
    ]
    config = described(tmp_path, machine="\n  - ".join(machines))
    exits(0, "guardian", "image", "--config", config, "--output-directory", str(tmp_path / "image"))
    entries = json.loads((tmp_path / "image" / "guardian.json").read_text())["equipment"]
    payloads = [read_envelope((tmp_path / "image" / each["profile"]).read_bytes()).payload for each in entries]
    assert [json.loads(each)["version"] for each in payloads] == [11, 12, 13, 14, 12]
    assert len(list((tmp_path / "image" / "profiles").iterdir())) == 4


def test_a_package_that_cannot_be_written_is_one_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exits(1, "guardian", "image", "--config", described(tmp_path), "--package", str(tmp_path / "none" / "p"))
    assert "cannot be written" in capsys.readouterr().err


def test_a_guardian_runs_by_its_file_as_it_is_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is changed between two runs with the same folder of data."""
    started: list[tuple[list[str], bytes, Path]] = []

    def begin(configuration: GuardianConfiguration, around: Surroundings) -> Any:
        kept = (around.image / "guardian.json").read_bytes()
        started.append(([each.name for each in configuration.equipment], kept, around.data))

    monkeypatch.setattr(process, "run", begin)
    for machine in (MACHINE, MACHINE.replace("espresso1", "espresso2")):
        config = described(tmp_path, machine=machine)
        exits(0, "guardian", "run", "--config", config, "--data", str(tmp_path / "data"))
    assert [names for names, _, _ in started] == [["espresso1"], ["espresso2"]]
    assert b"espresso2" in started[1][1]
    assert {data for _, _, data in started} == {tmp_path / "data"}

# SPDX-License-Identifier: Apache-2.0
"""``armillary image-package``: packing folders, showing packages, and the development key."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.cli.conftest import exits
from tests.fixtures import images
from tests.fixtures.certificates import private_pem

from armillary.cli.release import development_key
from armillary.wire.image import application as application_package, package as image_package
from armillary.wire.image.application import OsRange

COMPONENT = "2f074b0f-d99d-4692-82d9-ef93a7d6463c"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an application ``app`` and a private user data folder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "user"))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    (tmp_path / "app" / "bin").mkdir(parents=True)
    (tmp_path / "app" / "bin" / "app").write_bytes(b"#!/bin/sh\n")
    write_manifest(tmp_path / "app" / "app_manifest.json")
    return tmp_path


def write_manifest(path: Path, **changes: Any) -> None:
    described = images.manifest("Blink", COMPONENT, Capabilities={"AllowedConnections": ["example.com"]})
    path.write_text(json.dumps(described | changes))


def pack(place: Path, *more: str, output: str = "out.imagepackage") -> Path:
    target = place / output
    arguments = ["--package-directory", str(place / "app"), "--output-file", str(target), *more]
    exits(0, "image-package", "pack-application", *arguments)
    return target


def show(capsys: pytest.CaptureFixture[str], file: Path, *more: str, code: int = 0) -> str:
    """What ``show`` prints of a package, or says of an error."""
    capsys.readouterr()
    exits(code, "image-package", "show", "--image-package", str(file), *more)
    printed = capsys.readouterr()
    return printed.err if code else printed.out


def write_signer(place: Path, number: int = 9) -> list[str]:
    """A key and certificate as PEM files; returns the options that name them."""
    key, certificate = images.pair(ec.SECP256R1(), number)
    (place / "key.pem").write_bytes(private_pem(key))
    (place / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return ["--signing-key", str(place / "key.pem"), "--signing-certificate", str(place / "certificate.pem")]


def test_packs_and_shows(place: Path, capsys: pytest.CaptureFixture[str]):
    target = pack(place, "--json")
    packed = json.loads(capsys.readouterr().out)
    assert packed["component_id"] == COMPONENT
    assert packed["bytes"] == target.stat().st_size
    shown = json.loads(show(capsys, target, "--json"))
    assert shown["image_type"] == "Applications"
    assert shown["image_id"] == packed["image_id"]
    assert shown["flags"] == ["UnderDevelopment"]
    assert shown["depends"] == ["ApplicationRuntime@12"]
    assert shown["capabilities"] == {"AllowedConnections": ["example.com"]}
    assert shown["files"][1] == "bin/app (10 bytes)"
    assert shown["signature"] == "verified with this user's development key"


def test_packs_boot_components_of_which_a_release_is_made(place: Path, capsys: pytest.CaptureFixture[str]):
    (place / "loader.bin").write_bytes(b"loader")

    def pack_component(name: str, *more: str, code: int = 0) -> str:
        options = ("--component", name, "--input-file", str(place / "loader.bin"), "--security-version", "3")
        exits(code, "image-package", "pack-component", "--chip", "mt3620", *options, *more)
        return capsys.readouterr().err

    for name, image_type in (("one-bl", "OneBL"), ("services", "Services")):
        pack_component(name, "--output-file", str(place / name))
        shown = json.loads(show(capsys, place / name, "--json"))
        assert (shown["image_type"], shown["name"], shown["security_version"]) == (image_type, name, 3)
    lost = str(place / "lost")
    assert "Use one of: one-bl, " in pack_component("kernel", "--output-file", lost, code=1)
    (place / "loader.bin").write_bytes(bytes(2 << 20))
    assert "the slot of services on mt3620" in pack_component("services", "--output-file", lost, code=1)
    assert "boot loader of at most" in pack_component("one-bl", "--output-file", lost, code=1)
    assert not (place / "lost").exists()


def test_development_key_is_made_once_and_is_private(place: Path, capsys: pytest.CaptureFixture[str]):
    first = image_package.parse(pack(place).read_bytes())
    assert "Making a development signing key" in capsys.readouterr().err
    file = development_key.development_folder() / "signing.pem"
    assert file.is_relative_to(place)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    second = image_package.parse(pack(place).read_bytes())
    assert "Making a development signing key" not in capsys.readouterr().err
    assert first.signing_key.thumbprint == second.signing_key.thumbprint
    assert first.image_id != second.image_id, "each build is a new image"
    certificate = development_key.load_certificate(file)
    assert certificate.subject.rfc4514_string() == "CN=Armillary development"


def test_text_output_names_every_field(place: Path, capsys: pytest.CaptureFixture[str]):
    out = show(capsys, pack(place))
    assert "component_id" in out
    assert COMPONENT in out


def test_own_signing_key(place: Path, capsys: pytest.CaptureFixture[str]):
    signer = write_signer(place)
    target = pack(place, *signer)
    assert not development_key.development_folder().exists(), "no development key is made when it is not needed"
    assert "verified with" in show(capsys, target, *signer[2:], "--json")
    assert "not checked" in show(capsys, target, "--json")
    pack(place, output="other.imagepackage")
    assert "made by another key" in show(capsys, target, "--json")


def test_show_fails_when_the_named_certificate_did_not_sign(place: Path, capsys: pytest.CaptureFixture[str]):
    target = pack(place)
    signer = write_signer(place)
    error = show(capsys, target, *signer[2:], code=1)
    assert "[wire.signature]" in error
    assert "hint:" in error


def test_same_input_gives_the_same_bytes(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    image_id = "6415a939-c098-48cf-8e5c-02b52a9f0ffb"
    first = pack(place, "--image-id", image_id, output="1").read_bytes()
    assert pack(place, "--image-id", image_id, output="2").read_bytes() == first
    assert image_package.parse(first).built == 1_700_000_000


def test_all_options(place: Path):
    (place / "app" / "tool").write_bytes(b"tool")
    (place / "app" / "data").write_bytes(b"data")
    write_manifest(place / "other.json", Capabilities={"Gpio": ["$LED"]}, Name="Other")
    metadata = '"Metadata":{"Type":"Azure Sphere Hardware Definition","Version":1}'
    (place / "sdk").mkdir()
    (place / "sdk" / "chip.json").write_text(
        "{"
        + metadata
        + ',"Peripherals":[{"Name":"C8","Type":"Gpio","MainCoreHeaderValue":"(8)","AppManifestValue":8}]}'
    )
    (place / "board.json").write_text(
        "{"
        + metadata
        + ',"Imports":[{"Path":"chip.json"}],"Peripherals":[{"Name":"LED","Type":"Gpio","Mapping":"C8"}]}'
    )
    target = pack(
        place,
        *("--application-manifest", str(place / "other.json")),
        *("--executables", "tool, /bin/app"),
        *("--hardware-definitions", f"{place / 'board.json'},{place / 'sdk'}"),
        *("--component-id", "592b46b7-5552-4c58-9163-9185f46b96aa"),
        *("--runtime-version", "13"),
        *("--os-abi", "5-7"),
    )
    application = application_package.open_unverified(image_package.parse(target.read_bytes()))
    assert application.manifest.name == "Other"
    assert application.manifest.capabilities.gpio == (8,)
    assert application.manifest.target_application_runtime_version == 13
    assert application.package.component_id == UUID("592b46b7-5552-4c58-9163-9185f46b96aa")
    assert application_package.needed_os(application.package) == OsRange(5, 7)
    assert {path: file.executable for path, file in application.filesystem.files.items()} == {
        "app_manifest.json": False,
        "bin/app": True,
        "data": False,
        "tool": True,
    }


@pytest.mark.parametrize("text", ["x", "0", "7-5", "5-", "5-6-7", "1000000"])
def test_a_range_that_is_none_is_refused(place: Path, capsys: pytest.CaptureFixture[str], text: str):
    fails_with(place, capsys, "--os-abi: expected a number or a range", "--os-abi", text)


def fails_with(place: Path, capsys: pytest.CaptureFixture[str], text: str, *more: str) -> None:
    arguments = ["--package-directory", str(place / "app"), "--output-file", str(place / "out"), *more]
    exits(1, "image-package", "pack-application", *arguments)
    error = capsys.readouterr().err
    assert text in error
    assert "hint:" in error
    assert not (place / "out").exists(), "nothing is written when packing fails"


def test_a_shipped_board_names_its_peripherals(place: Path, capsys: pytest.CaptureFixture[str]):
    write_manifest(place / "app" / "app_manifest.json", Capabilities={"Gpio": ["$LED"], "Adc": ["$LEVEL_ADC"]})
    fails_with(place, capsys, "expected a name of a hardware definition")  # without it
    target = pack(place, "--hardware-definitions", "mt3620-simulated")
    packed = application_package.open_unverified(image_package.parse(target.read_bytes())).manifest.capabilities
    assert (packed.gpio, packed.adc) == ((8,), ("ADC-CONTROLLER-0",))
    fails_with(place, capsys, "a hardware definition or a folder", "--hardware-definitions", "imx8mp-gateway")


def test_links_are_refused(place: Path, capsys: pytest.CaptureFixture[str]):
    (place / "app" / "shadow").symlink_to("/etc/passwd")
    fails_with(place, capsys, "link or special file")


def test_linked_folders_are_refused(place: Path, capsys: pytest.CaptureFixture[str]):
    (place / "app" / "etc").symlink_to("/etc")
    fails_with(place, capsys, "link or special file")


def test_missing_manifest_and_entry_point(place: Path, capsys: pytest.CaptureFixture[str]):
    (place / "app" / "bin" / "app").rename(place / "app" / "bin" / "other")
    fails_with(place, capsys, "2097174")
    (place / "app" / "app_manifest.json").unlink()
    fails_with(place, capsys, "2097177")


def test_operator_mistakes(place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    signer = write_signer(place)
    fails_with(place, capsys, "together", *signer[:2])
    fails_with(
        place, capsys, "an unencrypted private key", "--signing-key", signer[3], "--signing-certificate", signer[3]
    )
    fails_with(place, capsys, "a certificate in PEM", "--signing-key", signer[1], "--signing-certificate", signer[1])
    fails_with(place, capsys, "a readable file", "--application-manifest", str(place / "nothing"))
    fails_with(place, capsys, "a hardware definition or a folder", "--hardware-definitions", "nothing.json")
    fails_with(place, capsys, "executables that are among", "--executables", "nothing")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    fails_with(place, capsys, "SOURCE_DATE_EPOCH")


def test_mismatched_pair_is_refused(place: Path, capsys: pytest.CaptureFixture[str]):
    signer = write_signer(place, 9)
    other = (place / "other.pem", (place / "key.pem").read_bytes())
    write_signer(place, 10)
    other[0].write_bytes(other[1])
    fails_with(place, capsys, "another key's certificate", "--signing-key", str(other[0]), *signer[2:])


def test_usage_errors_exit_with_2(place: Path, capsys: pytest.CaptureFixture[str]):
    exits(2, "image-package", "pack-application")
    exits(2, "image-package", "show")
    assert "--package-directory" in capsys.readouterr().err


def test_show_refuses_what_is_no_package(place: Path, capsys: pytest.CaptureFixture[str]):
    assert "image-package: expected at least" in show(capsys, place / "app" / "bin" / "app", code=1)
    assert "a readable file" in show(capsys, place / "nothing", code=1)


def test_what_was_changed_after_signing_is_not_called_somebody_elses(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = pack(place)
    assert "verified with this user's development key" in show(capsys, file)
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    file.write_bytes(damaged)
    assert "[wire.signature]" in show(capsys, file, code=1)


def test_what_was_changed_after_signing_is_not_uploaded(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = pack(place)
    damaged = bytearray(file.read_bytes())
    damaged[damaged.index(b"#!/bin/sh") + 2] ^= 1  # a byte of the application: the package keeps its form
    file.write_bytes(damaged)
    nowhere = ("--service", "https://127.0.0.1:1", "--token", "x", "-c", "Contoso")
    exits(1, "image", "add", "--image-path", str(file), *nowhere)
    said = capsys.readouterr().err
    assert "[wire.signature]" in said
    assert "hint: " in said


def test_a_board_configuration_is_packed_and_shown(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    described = images.board(name="gateway")
    (place / "board.json").write_text(json.dumps(described))
    target = place / "board.imagepackage"
    to = ["image-package", "pack-board-config", "--output-file", str(target)]
    for given, chip, name in (
        (["--input-file", str(place / "board.json")], "mt3620", "gateway"),
        (["--preset", "lan-enc28j60-isu0-int5"], "mt3620", "lan-enc28j60-isu0-int5"),
    ):
        exits(0, *to, *given)
        shown = json.loads(show(capsys, target, "--json"))
        assert (shown["image_type"], shown["name"], shown["chip"]) == ("CustomerBoardConfig", name, chip)
        assert shown["peripherals"] == {"Gpio": [5], "SpiMaster": ["ISU0"]}
    target.unlink()
    for wrong, words in (
        ({"Chip": "esp32"}, "no chip 'esp32'"),
        ({"Peripherals": {"SpiMaster": ["ISU9"]}}, "expected a peripheral of MediaTek MT3620, got ISU9"),
        ({"Chip": 3}, "Chip: expected"),
    ):
        (place / "board.json").write_text(json.dumps(described | wrong))
        exits(1, *to, "--input-file", str(place / "board.json"))
        assert words in capsys.readouterr().err
    exits(1, *to)
    assert "--input-file or --preset" in capsys.readouterr().err
    exits(1, *to, "--preset", "nothing")
    assert "lan-enc28j60-isu0-int5" in capsys.readouterr().err
    assert not target.exists()

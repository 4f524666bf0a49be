# SPDX-License-Identifier: Apache-2.0
"""What no machine can be made of, or started from, is one sentence; nothing is made, and what is there stays."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.fixtures.machine_files import DISK_BYTES, files_of

from armillary.device_image import virtual_machine
from armillary.device_image.architecture.hardware import HARDWARE
from armillary.device_image.machine_folder import checks
from armillary.device_image.virtual_machine import MachineSettings, check, prepare
from armillary.errors import ArmillaryError, DataFolderError

MACHINES = sorted(HARDWARE)


def refused(folder: Path, image: Path | None = None, *, machine: str = "x86_64", tpm: bool = False) -> ArmillaryError:
    """What is said of them; the folder is as it was."""
    before = sorted(folder.rglob("*")) if folder.exists() else None
    with pytest.raises(DataFolderError) as caught:
        prepare(MachineSettings(folder=folder, image=image, machine=machine, tpm=tpm))
    assert (sorted(folder.rglob("*")) if folder.exists() else None) == before
    return caught.value


def image_for(folder: Path, machine: str) -> Path:
    files_of(folder, machine)
    (folder / "image.json").write_text(json.dumps({"architecture": machine}), "ascii")
    return folder


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("other", MACHINES)
def test_an_image_for_another_machine_is_refused(machine: str, other: str, tmp_path: Path) -> None:
    image, folder = image_for(tmp_path / "image", other), tmp_path / "machine"
    if machine == other:
        check(MachineSettings(folder=folder, image=image, machine=machine))
        return
    error = refused(folder, image, machine=machine, tpm=True)
    assert f"{image}: expected an image for {machine}, got one of {other}" in error.message


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("other", MACHINES)
def test_a_machine_is_booted_as_what_it_was_made(machine: str, other: str, tmp_path: Path) -> None:
    folder = files_of(tmp_path / "machine", other)
    checks.note_machine(folder, other)
    if machine == other:
        check(MachineSettings(folder=folder, machine=machine))
        return
    error = refused(folder, machine=machine, tpm=True)
    expected = f"expected a machine {machine}, got one made as {other}"
    alone = f"expected disk.img and {HARDWARE[machine].kept}, as {machine} has them, got disk.img alone"
    assert (expected if HARDWARE[machine].kept == HARDWARE[other].kept else alone) in error.message


def test_one_that_was_put_together_is_told_by_its_firmwares_variables(tmp_path: Path) -> None:
    folder = files_of(tmp_path / "machine", "x86_64")
    assert "expected 67,108,864 bytes, as arm64 has, got 540,672" in refused(folder, machine="arm64").message


@pytest.mark.parametrize("name", ["variables.fd", "disk.img"])
def test_a_file_that_is_empty_is_named(name: str, tmp_path: Path) -> None:
    machine, image = files_of(tmp_path / "machine", "x86_64"), files_of(tmp_path / "image", "x86_64")
    for folder in (machine, image):
        (folder / name).write_bytes(b"")
    assert str(machine / name) in refused(machine).message
    assert str(image / name) in refused(tmp_path / "new", image).message


def test_a_built_image_does_not_become_the_machine(tmp_path: Path) -> None:
    image = image_for(tmp_path / "image", "x86_64")
    error = refused(image, image)
    assert "got a built image, which stays as it is" in error.message
    assert f"--image {image}" in error.remedy


def test_a_folder_with_anything_else_is_no_new_machines(tmp_path: Path) -> None:
    image, folder = image_for(tmp_path / "image", "x86_64"), tmp_path / "home"
    folder.mkdir()
    (folder / "letter.txt").write_bytes(b"")
    assert "an empty folder to make one in, got one with letter.txt" in refused(folder, image).message


def test_a_disk_without_its_firmwares_variables_is_not_replaced(tmp_path: Path) -> None:
    image, folder = image_for(tmp_path / "image", "x86_64"), files_of(tmp_path / "machine", "x86_64")
    (folder / "variables.fd").unlink()
    assert "got disk.img alone" in refused(folder, image).message


def test_what_a_killed_start_left_is_made_again(tmp_path: Path) -> None:
    image, folder = image_for(tmp_path / "image", "x86_64"), tmp_path / "machine"
    folder.mkdir()
    for name in (
        "machine.lock",
        "machine.json",
        "machine.json.1.partial",
        "variables.fd",
        "disk.img.new",
        "board.json",
        "service-link.lock",
    ):
        (folder / name).write_bytes(b"")
    prepare(MachineSettings(folder=folder, image=image, tpm=False))
    assert (folder / "disk.img").stat().st_size == DISK_BYTES
    assert json.loads((folder / checks.NOTE).read_bytes()) == {"machine": "x86_64"}


def test_a_tpm_without_its_state_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    folder = files_of(tmp_path / "machine", "x86_64")
    (folder / "tpm").mkdir()
    error = refused(folder, tpm=True)
    assert f"{folder / 'tpm'}: expected the state of this machine's TPM" in error.message


def with_tpm(folder: Path) -> Path:
    """A machine that was started with its TPM."""
    files_of(folder, "x86_64")
    (folder / "tpm").mkdir()
    (folder / "tpm" / checks.STATE).write_bytes(b"a state")
    checks.note_machine(folder, "x86_64")
    check(MachineSettings(folder=folder))
    return folder


def test_a_tpm_that_was_there_is_not_replaced_by_a_new_one(tmp_path: Path) -> None:
    folder = with_tpm(tmp_path / "machine")
    (folder / "tpm").rename(tmp_path / "kept")
    error = refused(folder, tpm=True)
    assert f"{folder / 'tpm'}: expected the folder of this machine's TPM, which it had, got none" in error.message
    assert "Put it back" in error.remedy
    check(MachineSettings(folder=folder, tpm=False))
    (tmp_path / "kept").rename(folder / "tpm")
    check(MachineSettings(folder=folder))


def test_a_machine_of_before_or_without_a_tpm_gets_one_and_has_it_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = files_of(tmp_path / "machine", "x86_64")
    (folder / checks.NOTE).write_text('{"machine": "x86_64"}\n', "ascii")
    monkeypatch.setattr(virtual_machine, "_make_tpm", Path.mkdir)
    prepare(MachineSettings(folder=folder))
    assert json.loads((folder / checks.NOTE).read_bytes()) == {"machine": "x86_64", "tpm": True}


@pytest.mark.parametrize("text", ["{", "", "[]", '{"machine": 1}', "{}", None])
def test_a_note_that_was_lost_is_named_with_what_it_has_to_be(text: str | None, tmp_path: Path) -> None:
    folder = with_tpm(tmp_path / "machine")
    note = folder / checks.NOTE
    note.unlink()
    if text is not None:
        note.write_text(text, "ascii")
    error = refused(folder, tpm=True)
    got = "it is not there" if text is None else "got something else"
    assert error.message == f'{note}: expected which machine this folder is of, as {{"machine": "x86_64"}}, {got}'
    assert "write a new one with that line" in error.remedy
    note.write_text('{"machine": "x86_64"}', "ascii")
    check(MachineSettings(folder=folder))


def test_a_machine_that_was_put_together_by_hand_is_noted_at_its_first_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, noted = files_of(tmp_path / "machine", "x86_64"), []

    def make(tpm: Path) -> None:
        noted.append(json.loads((folder / checks.NOTE).read_bytes()))
        tpm.mkdir()

    monkeypatch.setattr(virtual_machine, "_make_tpm", make)
    prepare(MachineSettings(folder=folder))
    assert noted == [{"machine": "x86_64"}], "a start that is killed here is gone on with"
    assert json.loads((folder / checks.NOTE).read_bytes()) == {"machine": "x86_64", "tpm": True}
    (folder / "tpm").rmdir()
    assert "which it had, got none" in refused(folder, tpm=True).message


def test_without_an_image_it_says_how_this_machines_is_built(tmp_path: Path) -> None:
    assert "make image." in refused(tmp_path / "machine", tmp_path / "image").remedy
    remedy = refused(tmp_path / "machine", tmp_path / "image", machine="arm64").remedy
    assert "armillary image build --arch arm64" in remedy


def test_without_room_for_the_disk_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = image_for(tmp_path / "image", "x86_64")
    (image / "disk.img").write_bytes(bytes(1 << 20))
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    assert "free bytes for the machine's disk, got 1" in refused(tmp_path / "machine", image).message
    with pytest.raises(DataFolderError, match="got 1"):
        check(MachineSettings(folder=tmp_path / "machine", image=image))  # before a lock or anything else is made


def test_what_this_user_may_not_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, closed = image_for(tmp_path / "image", "x86_64"), tmp_path / "closed"

    def is_closed(path: Path, **_: object) -> os.stat_result:
        if path.is_relative_to(closed):
            raise PermissionError(13, "Permission denied")
        return os.stat(path)  # noqa: PTH116 - what Path.stat is here instead of

    monkeypatch.setattr(Path, "stat", is_closed)
    for error in (refused_at(closed / "m", image), refused_at(tmp_path / "m", closed)):
        assert "cannot be read (Permission denied)" in error.message


def refused_at(folder: Path, image: Path) -> ArmillaryError:
    with pytest.raises(DataFolderError) as caught:
        check(MachineSettings(folder=folder, image=image, tpm=False))
    return caught.value

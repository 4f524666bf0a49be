# SPDX-License-Identifier: Apache-2.0
"""An older OS is put back onto a pretended machine: what of its disk, when it is accepted, and that it is undone."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.device_image.tampering.test_playing import ATTESTED, REFUSES, VERIFIED, PretendedMachine, settings, victim

from armillary.device.machine.words import RESTARTS_APART_S
from armillary.device_image import disk
from armillary.device_image.tampering import older_os
from armillary.device_image.tampering.attacks import End
from armillary.device_image.tampering.older_os import SLOTS_ALONE, WHOLE, OlderOs
from armillary.device_image.tampering.playing import REFUSED_STARTS
from armillary.device_image.virtual_machine import DISK, MachineSettings
from armillary.errors import HostError
from armillary.wire.disk.gpt import SECTOR_BYTES

__all__ = ["settings"]  # the fixture

PLACES = {name: disk.layout().partition(name).first_lba * SECTOR_BYTES for name in ("root-fs-a", "root-fs-b", "data")}


def write(folder: Path, **content: bytes) -> None:
    with (folder / DISK).open("r+b") as file:
        for name, data in content.items():
            file.seek(PLACES[name.replace("_", "-")])
            file.write(data)


def read(folder: Path) -> dict[str, bytes]:
    with (folder / DISK).open("rb") as file:
        return {name: (file.seek(at), file.read(3))[1] for name, at in PLACES.items()}


class Updating(PretendedMachine):
    """Takes the update that was published, into slot b; an OS that an attack left on trial is confirmed before."""

    def __init__(self, folder: Path, published: list[str]) -> None:
        super().__init__([])
        self._folder, self._published = folder, published
        self._has_begun = False
        update = ("update-started", "update-confirmed", ATTESTED, ATTESTED)
        self._says = iter(("update-confirmed", ATTESTED, ATTESTED, *update))

    def wait_for(self, wanted: str, *, within_s: float) -> tuple[str | None, list[str]]:
        assert within_s > 0
        if not self._published:
            return None, ["it waits"]
        line = next(each for each in self._says if wanted in each)
        if line == "update-confirmed" and self._has_begun:
            write(self._folder, root_fs_b=b"new", data=b"new")
        self._has_begun |= line == "update-started"
        return line, [line]


@pytest.mark.parametrize("holds", [True, False], ids=["a-tpm-that-keeps", "the-control"])
@pytest.mark.parametrize("name", [WHOLE, SLOTS_ALONE])
def test_what_was_put_back_is_accepted_only_if_it_is_attested(
    settings: MachineSettings, monkeypatch: pytest.MonkeyPatch, name: str, holds: bool
) -> None:
    seen = []

    def says(folder: Path) -> list[str]:
        seen.append(read(folder))
        is_old = seen[-1]["root-fs-b"] == b"old"
        return [VERIFIED[0], REFUSES] * REFUSED_STARTS if is_old and holds else [ATTESTED]

    published: list[str] = []

    @contextlib.contextmanager
    def running(found: MachineSettings) -> Iterator[Updating]:
        yield Updating(found.folder, published)

    monkeypatch.setattr(older_os, "running", running)
    write(settings.folder, root_fs_a=b"old", root_fs_b=b"old", data=b"old")
    older = OlderOs(victim(settings, monkeypatch, says), lambda: published.append("27.1"))
    older.take_update()
    outcome = older.play(name)
    assert seen[0] == {"root-fs-a": b"old", "root-fs-b": b"old", "data": b"old" if name == WHOLE else b"new"}
    assert (outcome.accepted, outcome.came_back) == (not holds, True)
    assert outcome.end is (End.NOTHING if holds else End.ATTESTED)
    assert read(settings.folder) == {"root-fs-a": b"old", "root-fs-b": b"new", "data": b"new"}


def test_a_machine_that_takes_no_update_says_nothing_of_rollback(
    settings: MachineSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def running(found: MachineSettings) -> Iterator[Updating]:
        yield Updating(found.folder, [])

    monkeypatch.setattr(older_os, "running", running)
    older = OlderOs(victim(settings, monkeypatch, lambda _: [ATTESTED]), lambda: None)
    with pytest.raises(HostError, match="no line with update-started: it waits"):
        older.take_update()


def test_a_machine_that_rests_between_refused_starts_is_waited_for(
    settings: MachineSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = []

    def lines(machine: PretendedMachine, *, within_s: float) -> Iterator[str]:
        waited.append(within_s)
        return iter(machine._lines)

    monkeypatch.setattr(PretendedMachine, "lines", lines)
    older = OlderOs(victim(settings, monkeypatch, lambda _: [ATTESTED]), lambda: None)
    shutil.copyfile(settings.folder / DISK, settings.folder / "older.img")
    older._victim.keep()
    older.play(WHOLE)
    with_the_older_os, put_right = waited
    assert with_the_older_os > RESTARTS_APART_S > put_right

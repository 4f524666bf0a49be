# SPDX-License-Identifier: Apache-2.0
"""Storage that no file system bounds is counted: over the quota a run ends, and the next may only remove."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.device.applications.test_supervisor import Rig, application, rig
from tests.fixtures.waiting import until

from armillary.device.applications import storage_watch, supervisor as supervisors
from armillary.device.applications.storage_watch import is_over
from armillary.engines.sandbox.port import Launch
from armillary.engines.sandbox.storage.use import StorageUse, image_of

__all__ = ["rig"]
pytestmark = pytest.mark.anyio


async def test_a_run_ends_when_its_storage_is_over_and_again_when_it_is_not(
    rig: Rig, fake_sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_watch, "LOOK_S", 0.01)
    monkeypatch.setattr(supervisors, "RESTART_FIRST_S", 0.01)
    fake_sandbox.name = "linux"
    data = tmp_path / "data"
    data.mkdir()

    def launch(app: Any) -> Launch:
        found = Launch(image_root=tmp_path, manifest=app.manifest, grant=app.grant, data=data)
        return replace(found, storage_full=is_over(found))

    monkeypatch.setattr(rig.supervisor, "_launch", launch)
    await rig.supervisor.run_set([application(1, MutableStorage={"SizeKB": 8})])
    await until(lambda: len(fake_sandbox.runs) == 1, "start")
    (data / "fits").write_bytes(b"x" * 8000)
    await asyncio.sleep(0.05)
    assert len(fake_sandbox.runs) == 1
    (data / "more").write_bytes(b"x" * 1000)
    await until(lambda: len(fake_sandbox.runs) == 2, "the next run")
    assert [run.launch.storage_full for run in fake_sandbox.runs] == [False, True]
    assert fake_sandbox.runs[0].stopped
    told = [report for report in rig.reports if report.event_type == "StorageFull"]
    assert [report.description[:29] for report in told] == ["StorageFull (quota 8 KiB; com"]
    (data / "more").unlink()
    await until(lambda: len(fake_sandbox.runs) == 3, "the run after that")
    assert not fake_sandbox.runs[2].launch.storage_full
    assert [each["event"] for each in rig.entries if each["event"].startswith("storage")] == [
        "storage-full",
        "storage-free",
    ]


async def test_a_look_that_fails_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the storage of that run would have no bound any more."""
    monkeypatch.setattr(storage_watch, "LOOK_S", 0.0)
    looks: list[Any] = [OSError(errno.EMFILE, "Too many open files"), False, True]

    def use(_: Path) -> StorageUse:
        found = looks.pop(0)
        if isinstance(found, OSError):
            raise found
        return StorageUse(10_000 if found else 0, 1)

    monkeypatch.setattr(storage_watch, "folder_use", use)
    app, said = application(1, MutableStorage={"SizeKB": 8}), list[bool]()
    launch = Launch(image_root=tmp_path, manifest=app.manifest, grant=app.grant, data=tmp_path)
    async with asyncio.timeout(30.0):
        await storage_watch.watch(launch, said.append)
    assert (said, looks) == ([True], [])


async def test_what_cannot_be_counted_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = application(1, MutableStorage={"SizeKB": 8})
    launch = Launch(image_root=tmp_path, manifest=app.manifest, grant=app.grant, data=tmp_path)
    assert not is_over(launch)
    monkeypatch.setattr(storage_watch, "folder_use", lambda _: StorageUse(0, 0, whole=False))
    assert is_over(launch)


async def test_an_image_is_not_counted(rig: Rig, fake_sandbox: Any, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "much").write_bytes(b"x" * 100_000)
    app = application(1, MutableStorage={"SizeKB": 8})
    launch = Launch(image_root=tmp_path, manifest=app.manifest, grant=app.grant, data=data)
    assert is_over(launch)
    image_of(data).touch()
    assert not is_over(launch)

# SPDX-License-Identifier: Apache-2.0
"""Attack: an application takes more storage than it was granted, or what belongs to another or to the host.

Control: the same program in a folder that nothing bounds, and the storage's owner, who reads what the thief does not.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.engines.sandbox.conftest import stage
from tests.engines.sandbox.sandbox_stage import Outcome, Stage, linux, linux_with_images
from tests.engines.sandbox.server_stage import PATIENCE_S
from tests.fixtures.waiting import until

from armillary.capability import confine
from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.storage.use import image_of, storage_use

__all__ = ["stage"]

QUOTA_KB = 64


@pytest.fixture
def sandbox() -> LinuxSandbox:
    return linux_with_images()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "component"
    folder.mkdir(mode=0o700)
    return folder


WAYS = {
    "one large file": "put('a', 1 << 20)",
    "many files": "[put(str(n), 4096) for n in range(64)]",
    "a sparse file that is filled": "hole('a', 1 << 20); [at('a', n * 16384, 4096) for n in range(64)]",
    "space set aside": "os.posix_fallocate(os.open('a', os.O_RDWR | os.O_CREAT), 0, 1 << 20)",
    "a file that has no name any more": "gone = [unnamed(4096) for _ in range(64)]",
    "long names": "[os.symlink('x' * 1000, str(n).zfill(200)) for n in range(400)]",
    "deep folders": "deep(200)",
}
PROGRAM = """
import errno, os
os.chdir(os.environ["ARMILLARY_DATA"])
def put(name, size):
    with open(name, "wb", buffering=0) as file:
        while size > 0: size -= file.write(b"x" * min(size, 1024))
def hole(name, size):
    with open(name, "wb") as file: file.truncate(size)
def at(name, place, size):
    with open(name, "r+b", buffering=0) as file: file.seek(place); file.write(b"x" * size); os.fsync(file.fileno())
def unnamed(size):
    put("u", size); held = os.open("u", os.O_RDONLY); os.unlink("u"); return held
def deep(levels):
    for _ in range(levels): os.mkdir("d"); os.chdir("d")
try:
    WAY
    print("all of it", flush=True)
except OSError as error:
    print(errno.errorcode[error.errno], flush=True)
"""


@pytest.mark.parametrize("way", sorted(WAYS))
def test_no_way_leads_over_the_quota(stage: Stage, sandbox: LinuxSandbox, data: Path, way: str) -> None:
    code = PROGRAM.replace("WAY", WAYS[way])
    found = stage.run(sandbox, code, data=data, storage=image_of(data), storage_kb=QUOTA_KB)

    assert found.lines == ["ENOSPC"], found.errors
    assert storage_use(data).used_bytes <= QUOTA_KB * 1024
    free = data.parent / "free"
    free.mkdir()
    found = stage.run(linux(own_user=False), code, data=free, storage_kb=2048)
    assert found.lines == ["all of it"], "the control: nothing bounds the whole of a folder"


def test_empty_files_end_and_the_device_goes_on(stage: Stage, sandbox: LinuxSandbox, data: Path) -> None:
    code = PROGRAM.replace("WAY", "[open(str(n), 'w').close() for n in range(100_000)]")
    found = stage.run(sandbox, code, data=data, storage=image_of(data), storage_kb=QUOTA_KB)
    assert found.lines == ["ENOSPC"], found.errors
    code = PROGRAM.replace("WAY", "[os.unlink(each) for each in os.listdir()]; put('state', 4096)")
    found = stage.run(sandbox, code, data=data, storage=image_of(data), storage_kb=QUOTA_KB)
    assert found.lines == ["all of it"], found.errors


THIEF = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def attempt(action):
    try: return repr(action())[:40]
    except OSError as error: return errno.errorcode[error.errno]
storage = os.environ["ARMILLARY_DATA"]
print("image", attempt(lambda: open(IMAGE, "rb").read(1)))
print("folder", attempt(lambda: os.listdir(FOLDER)))
print("by process", attempt(lambda: os.listdir(f"/proc/{PID}/root/mnt/data")))
os.symlink(IMAGE, storage + "/link"); print("link", attempt(lambda: open(storage + "/link", "rb").read(1)))
print("hard link", attempt(lambda: os.link(IMAGE, storage + "/hard")))
print("up", attempt(lambda: open(storage + "/../../" + IMAGE, "rb").read(1)))
for number in range(8):
    print("loop", attempt(lambda: open(f"/dev/loop{number}", "rb").read(1)))
print("node", "ok" if libc.mknod(os.fsencode(storage + "/node"), 0o60600, os.makedev(7, 0)) == 0 else "refused")
print("own", sorted(os.listdir(storage)))
"""


@pytest.mark.anyio
async def test_the_storage_of_another_is_out_of_reach(
    stage: Stage, sandbox: LinuxSandbox, data: Path, tmp_path: Path
) -> None:
    secret = (
        "import os, time\nopen(os.environ['ARMILLARY_DATA'] + '/secret', 'w').write('s')\nprint('ready', flush=True)"
    )
    owner = Outcome()
    running = await sandbox.start(
        stage.launch(secret + "\ntime.sleep(600)", data=data, storage=image_of(data), storage_kb=QUOTA_KB),
        owner.events.append,
    )
    try:
        await until(lambda: owner.lines == ["ready"], str(owner.errors), 30)
        mine = tmp_path / "mine"
        mine.mkdir()
        code = THIEF.replace("IMAGE", repr(str(image_of(data)))).replace("FOLDER", repr(str(data)))
        launch = stage.launch(
            code.replace("{PID}", str(running.pid)), data=mine, storage=image_of(mine), storage_kb=QUOTA_KB
        )
        thief_id = UUID(int=77)
        thief: Any = dataclasses.replace(
            launch,
            manifest=dataclasses.replace(launch.manifest, component_id=thief_id),
            grant=dataclasses.replace(launch.grant, component_id=thief_id),
        )
        found = Outcome()
        other = await sandbox.start(thief, found.events.append)
        await other.wait()
        await until(lambda: len(found.lines) >= 16, str(found.errors), PATIENCE_S)
        lines = [line.partition(" ") for line in found.lines]
        assert {answer for name, _, answer in lines if name in ("image", "folder", "link", "up", "loop")} <= {
            "ENOENT",
            "EACCES",
        }, found.lines
        assert found.lines[2] in ("by process ENOENT", "by process EACCES")
        assert found.lines[4] in ("hard link ENOENT", "hard link EXDEV", "hard link EACCES")
        assert found.lines[-2:] == ["node refused", "own ['link']"]
    finally:
        await running.stop(0)
    # The control: to the owner it is there.
    show = "import os\nprint(os.listdir(os.environ['ARMILLARY_DATA']))"

    outcome = Outcome()
    again = await sandbox.start(
        stage.launch(show, data=data, storage=image_of(data), storage_kb=QUOTA_KB), outcome.events.append
    )
    await again.wait()
    assert outcome.lines == ["['secret']"], outcome.errors


def test_an_image_belongs_to_the_device(stage: Stage, sandbox: LinuxSandbox, data: Path) -> None:
    stage.run(sandbox, "", data=data, storage=image_of(data), storage_kb=QUOTA_KB)
    status = image_of(data).stat()
    assert (status.st_uid, status.st_mode & 0o777) == (os.geteuid(), 0o600)
    assert status.st_uid != confine.application_user(UUID(int=77))

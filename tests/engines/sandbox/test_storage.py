# SPDX-License-Identifier: Apache-2.0
"""Mutable storage: the quota holds for the whole, what was there stays, and nothing mounted is left behind."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.engines.sandbox.sandbox_stage import Stage, engine, linux, reduced
from tests.fixtures.processes import killed_process
from tests.fixtures.waiting import wait_until

from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.linux_report import QUOTA
from armillary.engines.sandbox.process import ProcessSandbox
from armillary.engines.sandbox.storage import image as images, mounting
from armillary.engines.sandbox.storage.image import prepare
from armillary.engines.sandbox.storage.mounting import inside, locked, mount_image
from armillary.engines.sandbox.storage.use import StorageUse, folder_use, image_of, opened_storage, storage_use
from armillary.errors import HostError, InstallError, SandboxUnavailableError

ROOT = Path(__file__).parents[3]
USER = 60123

FILL = """
import errno, os
os.chdir(os.environ["ARMILLARY_DATA"])
def fill(name):
    with open(name, "wb") as file:
        while True:
            file.write(b"x" * 1024); file.flush()
for number in range(3):
    try: fill(f"full-{number}")
    except OSError as error: print(errno.errorcode[error.errno])
print(sum(os.path.getsize(name) for name in os.listdir()) // 1024, sorted(os.listdir()))
"""
SHOW = """
import os
os.chdir(os.environ["ARMILLARY_DATA"])
print(sorted(os.listdir()), os.stat(".").st_mode & 0o777, os.access(".", os.W_OK))
open("again", "w").write("x"); os.unlink("again")
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "component"
    folder.mkdir(mode=0o700)
    return folder


def attached() -> list[str]:
    """The files of the host's loop devices."""
    found = []
    for each in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):  # released meanwhile
            found.append(each.read_text().strip())
    return found


def is_attached(image: Path) -> bool:
    """Whether the host still has a loop device for a file."""
    return any(each.startswith(str(image)) for each in attached())


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text("utf-8")


def test_the_quota_is_of_the_whole_and_exact(stage: Stage, images_of_root: LinuxSandbox, data: Path) -> None:
    before = mounts()
    given: dict[str, Any] = {"data": data, "storage": image_of(data), "storage_kb": 64}
    found = stage.run(images_of_root, FILL, **given)
    assert found.lines[:3] == ["ENOSPC"] * 3, found.errors
    assert found.lines[3] == "64 ['full-0', 'full-1', 'full-2']"
    assert storage_use(data) == StorageUse(64 * 1024, 3)
    found = stage.run(images_of_root, SHOW.replace("open", "os.unlink('full-0'); open"), **given)
    assert found.lines == ["['full-0', 'full-1', 'full-2'] 448 True"], found.errors  # after a restart; 448 is 0o700
    assert storage_use(data) == StorageUse(0, 2)
    wait_until(lambda: not is_attached(image_of(data)), "the end of its loop device")
    assert mounts() == before  # the host never saw a mount


def test_another_application_goes_on_when_one_has_filled_its_own(
    stage: Stage, images_of_root: LinuxSandbox, tmp_path: Path
) -> None:
    for name, code, wanted in (("a", FILL, "64"), ("b", FILL, "64")):
        folder = tmp_path / name
        folder.mkdir()
        found = stage.run(images_of_root, code, data=folder, storage=image_of(folder), storage_kb=64)
        assert found.lines[-1].split()[0] == wanted, found.errors


def test_a_folder_of_an_earlier_version_moves_in(stage: Stage, images_of_root: LinuxSandbox, data: Path) -> None:
    (data / "sub").mkdir()
    (data / "sub/state").write_bytes(b"kept")
    (data / "link").symlink_to("sub/state")
    (data / "large").write_bytes(b"x" * 100_000)  # more than the quota: only single files were bounded
    code = """
import os
os.chdir(os.environ["ARMILLARY_DATA"])
print(open("link").read(), os.path.getsize("large"), os.stat("sub/state").st_uid == os.getuid())
more = os.open("more", os.O_WRONLY | os.O_CREAT)
try: print(os.write(more, b"x" * 4000))
except OSError as error: print(error.errno)
os.unlink("large"); print(os.write(more, b"x" * 4000))
"""
    found = stage.run(images_of_root, code, data=data, storage=image_of(data), storage_kb=8)
    assert found.lines == ["kept 100000 True", "28", "4000"], found.errors
    assert list(data.iterdir()) == []


@pytest.mark.parametrize("sizes", [(4, 64, 2048, 64), (65_536, 8)])
def test_the_quota_changes_with_an_update(images_of_root: LinuxSandbox, data: Path, sizes: tuple[int, ...]) -> None:
    (data / "state").write_bytes(b"kept")
    for size_kb in sizes:
        mount = prepare(image_of(data), data, size_kb=size_kb, user=USER)
        try:
            assert Path(inside(mount), "state").read_bytes() == b"kept"
            free = os.fstatvfs(mount)
            assert free.f_bavail * free.f_frsize == size_kb * 1024 - storage_use(data).used_bytes
        finally:
            os.close(mount)
        wait_until(lambda: not is_attached(image_of(data)), "the end of its loop device")
    assert image_of(data).stat().st_size < 4 << 20


class Cut(BaseException):
    """The power is gone."""


@pytest.mark.parametrize("step", ["mke2fs", "cp", "tune2fs", "rename", "rm"])
def test_a_cut_while_it_moves_in_loses_nothing(
    images_of_root: LinuxSandbox, data: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "state").write_bytes(b"kept")
    run, rename = images._run, Path.rename

    def cut_run(program: str, *arguments: str, **options: Any) -> None:
        if program == step:
            raise Cut
        run(program, *arguments, **options)

    def cut_rename(path: Path, target: Path) -> Path:
        if step == "rename":
            raise Cut
        return rename(path, target)

    monkeypatch.setattr(images, "_run", cut_run)
    monkeypatch.setattr(Path, "rename", cut_rename)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)  # a power cut tidies nothing
    with pytest.raises(Cut):
        prepare(image_of(data), data, size_kb=8, user=USER)
    monkeypatch.undo()
    assert image_of(data).exists() == (step == "rm")
    os.close(prepare(image_of(data), data, size_kb=8, user=USER))
    with opened_storage(data) as storage:
        assert (storage / "state").read_bytes() == b"kept"
    assert sorted(each.name for each in data.parent.iterdir()) == ["component", "component.ext4"]


def test_a_damaged_image_is_repaired_or_named(images_of_root: LinuxSandbox, data: Path) -> None:
    image = image_of(data)
    os.close(prepare(image, data, size_kb=8, user=USER))
    with opened_storage(data) as storage:
        (storage / "state").write_bytes(b"kept")
    wait_until(lambda: not is_attached(image), "the end of its loop device")
    with image.open("r+b") as file:
        file.seek(1024 + 58)
        file.write(b"\x02\x00")  # the kernel found an error in it
    os.close(prepare(image, data, size_kb=8, user=USER))
    with opened_storage(data) as storage:
        assert (storage / "state").read_bytes() == b"kept"
    wait_until(lambda: not is_attached(image), "the end of its loop device")
    image.write_bytes(b"\0" * 4096)
    with pytest.raises(InstallError, match=r"component\.ext4") as caught:
        prepare(image, data, size_kb=8, user=USER)
    assert "e2fsck" in caught.value.message or "Move that file away" in caught.value.remedy


def test_a_disk_without_room_is_said(images_of_root: LinuxSandbox, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(HostError, match=r"bytes of room at .*No space left"):
        prepare(image_of(data), data, size_kb=8, user=USER)
    assert [each.name for each in data.parent.iterdir()] == ["component"]


def test_an_image_is_not_passed_over_where_nobody_can_mount_it(
    stage: Stage, images_of_root: LinuxSandbox, data: Path
) -> None:
    """An application that starts with an empty folder instead would have lost what it kept."""
    os.close(prepare(image_of(data), data, size_kb=8, user=USER))
    for sandbox in (linux(own_user=False), reduced(), ProcessSandbox()):
        with pytest.raises(SandboxUnavailableError, match="its mutable storage is a file system"):
            stage.run(sandbox, SHOW, data=data, storage=image_of(data))


def test_what_mounts_a_file_twice_is_one_file_system(images_of_root: LinuxSandbox, data: Path) -> None:
    first = prepare(image_of(data), data, size_kb=8, user=USER)
    second = mount_image(image_of(data))
    try:
        Path(inside(first), "file").write_bytes(b"x")
        assert Path(inside(second), "file").read_bytes() == b"x"
    finally:
        os.close(first)
        os.close(second)


def test_two_who_mount_at_once_share_one_loop_device(
    images_of_root: LinuxSandbox, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two devices of one file would be two writers of one file system."""
    image = image_of(data)
    os.close(prepare(image, data, size_kb=8, user=USER))
    wait_until(lambda: not is_attached(image), "the end of its loop device")
    both, look = threading.Barrier(2), mounting._attached

    def look_together(*arguments: Any) -> Any:
        found = look(*arguments)
        with contextlib.suppress(threading.BrokenBarrierError):  # one waits for the lock
            both.wait(1)
        return found

    monkeypatch.setattr(mounting, "_attached", look_together)
    with ThreadPoolExecutor(2) as threads:
        views = list(threads.map(mount_image, [image, image]))
    try:
        assert attached().count(str(image)) == 1
    finally:
        for view in views:
            os.close(view)


def test_the_lock_ends_with_mounting_and_holds_while_a_tool_runs(
    images_of_root: LinuxSandbox, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tool inherits it: where the device is killed, the next waits until its e2fsck has ended."""
    image, seen, run = image_of(data), [], subprocess.run

    def watched(command: list[str], **options: Any) -> Any:
        if command[0].endswith(("tune2fs", "e2fsck")) and command[-1] == str(image):
            inherited = [os.path.samestat(os.fstat(each), image.stat()) for each in options["pass_fds"]]
            with image.open("rb") as other, pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            seen.append((Path(command[0]).name, inherited, is_attached(image)))
        return run(command, **options)

    os.close(prepare(image, data, size_kb=64, user=USER))
    monkeypatch.setattr(subprocess, "run", watched)
    os.close(prepare(image, data, size_kb=8, user=USER))
    wait_until(lambda: not is_attached(image), "the end of its loop device")
    with image.open("r+b") as file:
        file.seek(1024 + 58)
        file.write(b"\x02\x00")  # the kernel found an error in it
    mount = prepare(image, data, size_kb=8, user=USER)
    try:
        assert seen == [("tune2fs", [True], False), ("e2fsck", [True], False)]
        with image.open("rb") as other:  # while it is mounted nobody waits
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(mount)


def test_nothing_is_repaired_that_is_mounted(
    images_of_root: LinuxSandbox, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = image_of(data)
    mount = prepare(image, data, size_kb=8, user=USER)
    monkeypatch.setattr(mounting, "_RELEASE_POLLS", 2)
    monkeypatch.setattr(images, "_run", lambda *_, **__: pytest.fail("a tool ran"))
    try:
        with locked(image) as lock, pytest.raises(OSError, match="still mounted") as caught:
            images._repair(image, lock)
        assert caught.value.errno == errno.EBUSY
    finally:
        os.close(mount)


def test_many_small_files_move_in(images_of_root: LinuxSandbox, data: Path) -> None:
    for number in range(300):
        (data / f"folder-{number}").mkdir()
        (data / f"folder-{number}" / "file").write_bytes(b"x")
    mount = prepare(image_of(data), data, size_kb=256, user=USER)
    try:
        assert len(list(Path(inside(mount)).glob("*/file"))) == 300
        assert os.fstatvfs(mount).f_favail >= 200  # of its own
    finally:
        os.close(mount)


def test_what_takes_more_than_was_counted_moves_into_a_larger_one(
    images_of_root: LinuxSandbox, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "large").write_bytes(b"x" * 3_000_000)
    monkeypatch.setattr(images, "folder_use", lambda _: StorageUse(1_000_000, 1))
    os.close(prepare(image_of(data), data, size_kb=8, user=USER))
    assert storage_use(data).files == 1
    with opened_storage(data) as storage:
        assert (storage / "large").stat().st_size == 3_000_000


def test_files_that_have_not_moved_stay_in_the_folder(images_of_root: LinuxSandbox, data: Path) -> None:
    os.close(prepare(image_of(data), data, size_kb=8, user=USER))
    (data / "later").write_bytes(b"of something else")
    os.close(prepare(image_of(data), data, size_kb=8, user=USER))
    assert (data / "later").read_bytes() == b"of something else"


def test_root_follows_no_link_and_works_in_no_folder_of_another(
    images_of_root: LinuxSandbox, data: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"of the host")
    image = image_of(data)
    image.symlink_to(victim)
    with pytest.raises(HostError, match=r"component\.ext4 is a link"):
        prepare(image, data, size_kb=8, user=USER)
    with pytest.raises(HostError, match=r"component\.ext4 is a link"):
        mount_image(image)
    image.unlink()
    os.close(prepare(image, data, size_kb=8, user=USER))
    os.chown(image, USER, USER)
    with pytest.raises(HostError, match=rf"component\.ext4 belongs to user {USER}, expected 0"):
        mount_image(image)
    image.unlink()
    fresh = images._fresh_name(image)
    fresh.symlink_to(victim)
    os.chown(data.parent, USER, USER)
    try:
        with pytest.raises(HostError, match=f"belongs to user {USER}, expected 0"):
            prepare(image, data, size_kb=8, user=USER)
    finally:
        os.chown(data.parent, 0, 0)
    assert victim.read_bytes() == b"of the host"


def test_loop_devices_of_others_are_not_opened(
    images_of_root: LinuxSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, other = tmp_path / f"own-{uuid4()}", tmp_path / "other"  # of a name that no other test's image has
    for each in (data, other):
        each.mkdir(mode=0o700)
    mounts = [prepare(image_of(each), each, size_kb=8, user=USER) for each in (data, other)]
    opened, real = [], os.open

    def watched(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if str(path).startswith("/dev/loop"):
            opened.append(flags & os.O_ACCMODE)
        return real(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", watched)
    try:
        mounts.append(mount_image(image_of(data)))
        assert opened == [os.O_RDONLY]
    finally:
        for mount in mounts:
            os.close(mount)


def test_no_writer_of_a_loop_device_is_left_when_it_is_mounted(
    images_of_root: LinuxSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels without CONFIG_BLK_DEV_WRITE_MOUNTED mount no device that is open for writing."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    seen, call = [], mounting._call

    def watched(*arguments: Any) -> int:
        for each in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):  # the descriptor of this listing
                if re.fullmatch(r"/dev/loop\d+", str(each.readlink())):
                    seen.append(fcntl.fcntl(int(each.name), fcntl.F_GETFL) & os.O_ACCMODE)
        return call(*arguments)

    monkeypatch.setattr(mounting, "_call", watched)
    os.close(prepare(image_of(data), data, size_kb=8, user=USER))
    assert set(seen) == {os.O_RDONLY}


def test_a_loop_device_that_another_mounted_meanwhile_is_passed_over(
    images_of_root: LinuxSandbox, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels without CONFIG_BLK_DEV_WRITE_MOUNTED open no mounted device for writing."""
    real, refused = os.open, []

    def busy_once(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if re.fullmatch(r"/dev/loop\d+", str(path)) and flags & os.O_ACCMODE == os.O_RDWR and not refused:
            refused.append(path)
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        return real(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", busy_once)
    os.close(prepare(image_of(data), data, size_kb=8, user=USER))
    assert refused


DAEMON = """
import asyncio, sys
from pathlib import Path
from tests.engines.sandbox.sandbox_stage import Outcome, Stage, engine
from tests.fixtures.waiting import until
from armillary.engines.sandbox.storage.use import image_of

async def play():
    outcome, data = Outcome(), Path(sys.argv[1])
    code = "import os, time\\nopen(os.environ['ARMILLARY_DATA'] + '/state', 'w').write('kept')\\nprint('ready', flush=True)\\ntime.sleep(600)"
    place = data.parent / "device"
    place.mkdir()
    launch = Stage(place).launch(code, data=data, storage=image_of(data))
    await engine(sys.argv[2]).start(launch, outcome.events.append)
    await until(lambda: outcome.lines, str(outcome.errors), 30)
    print("ready", flush=True)
    await asyncio.Event().wait()
asyncio.run(play())
"""


@pytest.mark.parametrize("kind", ["as-root", "crun-as-root"])
def test_nothing_mounted_is_left_when_the_device_is_killed(
    stage: Stage, images_of_root: LinuxSandbox, data: Path, kind: str
) -> None:
    engine(kind)  # skips where this host has none
    with killed_process([sys.executable, "-c", DAEMON, str(data), kind], stdout=subprocess.PIPE, cwd=ROOT) as device:
        assert device.readline().strip() in ("ready", b"ready")
        assert is_attached(image_of(data))
        device.kill()
        device.wait(30)
        wait_until(lambda: not is_attached(image_of(data)), "the end of its loop device")
    found = stage.run(images_of_root, SHOW, data=data, storage=image_of(data))
    assert found.lines == ["['state'] 448 True"], found.errors


def test_over_its_quota_it_may_remove_and_not_write(stage: Stage, sandbox: Any, data: Path) -> None:
    """Where the device counts: it gets over the quota once, not again with each restart."""
    for number in range(3):
        (data / f"file-{number}").write_bytes(b"x" * 5000)
        (data / f"file-{number}").chmod(0o666)
    code = """
import errno, os
os.chdir(os.environ["ARMILLARY_DATA"])
def attempt(action):
    try: action(); return "ok"
    except OSError as error: return errno.errorcode[error.errno]
print(attempt(lambda: open("new", "w")), attempt(lambda: open("file-0", "a")), attempt(lambda: os.mkdir("folder")),
      attempt(lambda: os.link("file-0", "file-3")), attempt(lambda: os.rename("file-0", "file-4")),
      attempt(lambda: open("file-0").read()), attempt(lambda: os.unlink("file-0")), sorted(os.listdir()))
"""
    found = stage.run(sandbox, code, data=data, storage_full=True)
    refused, (removed,) = found.lines[0].split()[:5], [found.lines[0].split(" ", 6)[6]]
    assert refused == ["EACCES"] * 5, found.errors
    assert removed == "ok ['file-1', 'file-2']"
    assert stage.run(sandbox, SHOW, data=data).lines, "the control: else it writes"


def test_what_a_folder_uses(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/state").write_bytes(b"x" * 5000)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)  # a hole takes nothing
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to("/usr")
    found = folder_use(tmp_path)
    assert found.files == 4
    assert 5120 <= found.used_bytes <= 5120 + 4096 + 3 * 1024


def test_the_engine_proves_the_quota_or_says_why_not(
    images_of_root: LinuxSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [each for each in images_of_root.self_test().mechanisms if each.name == QUOTA]
    assert [each.enforced for each in held] == [True]
    monkeypatch.setattr(
        "armillary.engines.sandbox.within.self_test.try_storage", lambda *_, **__: "no loop devices here"
    )
    report = LinuxSandbox(images_of_root.bubblewrap, own_user=True).self_test()
    assert not [each for each in report.mechanisms if each.name == QUOTA]
    (absent,) = [each for each in report.absent if each.name == QUOTA]
    assert "no loop devices here" in absent.detail
    assert any("no loop devices here" in sentence for sentence in report.weaker)

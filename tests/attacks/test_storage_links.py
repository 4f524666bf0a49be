# SPDX-License-Identifier: Apache-2.0
"""Attack: links and moved folders in an application's storage, against the device's own reading of it.

The moments are those that a race would have to meet; each has the control that the attack would have won.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fixtures.other_user import NOBODY, run_as_other

from armillary.engines.sandbox.storage import use
from armillary.engines.sandbox.storage.use import folder_use
from armillary.engines.sandbox.within import image_root
from armillary.errors import InstallError

OTHERS_BYTES = 1 << 20


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """An application's storage, beside that of another which it must not learn of."""
    mutable = tmp_path / "device" / "mutable"  # deep enough for a control that climbs
    (mutable / "others" / "deep").mkdir(parents=True)
    (mutable / "others" / "deep" / "large").write_bytes(bytes(OTHERS_BYTES))
    folder = mutable / "own"
    (folder / "a" / "others").mkdir(parents=True)
    (folder / "a" / "z" / "down").mkdir(parents=True)
    (folder / "a" / "z" / "down" / "file").write_bytes(b"x")
    return folder


def meanwhile(monkeypatch: pytest.MonkeyPatch, module: object, name: str, act: Callable[[], object]) -> None:
    """Act once, when three folders below the storage have been looked into; the last by name is gone into first."""
    real, looked = getattr(module, name), [0]

    def look(*arguments: int) -> object:
        found = real(*arguments)
        looked[0] += 1
        if looked[0] == 4:
            act()
        names = found[-1] if isinstance(found, tuple) else found
        names.sort()
        return found

    monkeypatch.setattr(module, name, look)


def test_a_folder_that_is_moved_up_leads_the_count_nowhere(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    within = folder_use(storage)
    meanwhile(monkeypatch, use, "_entries", lambda: (storage / "a" / "z" / "down").rename(storage / "up"))
    assert folder_use(storage) == within  # counted again
    (storage / "up").rename(storage / "a" / "z" / "down")
    meanwhile(monkeypatch, use, "_entries", lambda: (storage / "a" / "z" / "down").rename(storage / "up"))
    monkeypatch.setattr(use, "identity", lambda _: (0, 0))
    assert folder_use(storage).used_bytes > OTHERS_BYTES  # the control: it has counted the other's


def test_a_folder_that_becomes_a_link_is_not_counted(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def swap() -> None:
        (storage / "a" / "others").rmdir()
        (storage / "a" / "others").symlink_to(storage.parent / "others" / "deep")

    meanwhile(monkeypatch, use, "_entries", swap)
    assert folder_use(storage).used_bytes < OTHERS_BYTES
    (storage / "a" / "others").unlink()
    (storage / "a" / "others").mkdir()
    meanwhile(monkeypatch, use, "_entries", swap)
    monkeypatch.setattr(use, "_FOLDER", os.O_RDONLY | os.O_DIRECTORY)
    monkeypatch.setattr(use, "_WALKS", 1)
    assert folder_use(storage).used_bytes > OTHERS_BYTES  # the control: it has followed the link


def test_folders_that_move_in_every_walk_hide_nothing(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that never lets a walk end is over its quota; one race in ordinary use is not (above)."""
    meanwhile(monkeypatch, use, "_entries", lambda: None)
    assert folder_use(storage).whole
    numbers = iter(range(1_000_000))
    monkeypatch.setattr(use, "identity", lambda _: (0, next(numbers)))  # each way up leads elsewhere
    assert not folder_use(storage).whole


CLOSED = """
import json, os, sys
from pathlib import Path
from armillary.engines.sandbox.storage.use import folder_use
storage, found = Path(sys.argv[1]), {}
os.makedirs(storage / "d/e"); (storage / "d/large").write_bytes(bytes(1 << 20))
for mode in (0o700, 0o300, 0o400, 0):
    os.chmod(storage / "d", mode)
    found[oct(mode)] = folder_use(storage).whole
    if mode == 0o700: os.rmdir(storage / "d/e")
os.chmod(storage / "d", 0o700); os.chmod(storage, 0o300)
found["all"] = folder_use(storage).whole
print(json.dumps(found))
"""


@pytest.mark.skipif(
    os.geteuid() != 0,
    reason="only root becomes another user; to enable: sudo make test ARGS=tests/attacks/test_storage_links.py",
)
def test_a_closed_folder_hides_nothing() -> None:
    """Where the device is not root and counts, it cannot see into a folder of mode 0300: that is over every quota."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:  # below tmp_path no other user gets
        Path(place).chmod(0o755)
        storage = Path(place, "storage")
        storage.mkdir()
        os.chown(storage, NOBODY, NOBODY)
        done = run_as_other(["-c", CLOSED, str(storage)])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"0o700": True, "0o300": False, "0o400": False, "0o0": False, "all": False}


@pytest.mark.skipif(
    os.geteuid() != 0,
    reason="only root gives folders away; to enable: sudo make test ARGS=tests/attacks/test_storage_links.py",
)
def test_nothing_is_given_that_a_moved_folder_leads_to(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = storage.parent / "others" / "deep"
    meanwhile(monkeypatch, image_root, "_give_entries", lambda: (storage / "a" / "z" / "down").rename(storage / "up"))
    with pytest.raises(InstallError, match="being moved"):
        image_root.give_tree(storage, 4711)
    assert others.stat().st_uid == 0
    (storage / "up").rename(storage / "a" / "z" / "down")
    meanwhile(monkeypatch, image_root, "_give_entries", lambda: (storage / "a" / "z" / "down").rename(storage / "up"))
    monkeypatch.setattr(image_root, "identity", lambda _: (0, 0))
    image_root.give_tree(storage, 4711)
    assert others.stat().st_uid == 4711  # the control: it has given the other's

# SPDX-License-Identifier: Apache-2.0
"""What attacks change of a root: what EROFS mounts all the same and dm-verity alone refuses; and their control."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.device_image.test_root_tree import needs_tools, small_tree, verified

from armillary.device_image import attacks
from armillary.device_image.architecture.table import X86_64
from armillary.device_image.attacks import ATTACKS, UNCHANGED, Attack, Outcome, check_unchanged
from armillary.device_image.root_image import BLOCK_BYTES, RootImage, make_root
from armillary.device_image.tampering.attacks import Tools, attacks_on_device
from armillary.errors import HostError
from armillary.wire.device_image.command_line import VerifiedRoot


def by_name(part: str) -> Attack:
    (found,) = [each for each in ATTACKS if part in each.name]
    return found


def made(folder: Path) -> RootImage:
    """A root whose tree has several leaves."""
    tree = small_tree()
    tree.file("usr/lib/large", random.Random(1).randbytes(5 << 20), component="usr")  # noqa: S311 - the same each time
    return make_root(tree, folder / "root.img", name="test")


def on_disk(root: RootImage, part: str) -> bytes:
    """A root as an attack of this name changes it on a fresh disk."""
    change = by_name(part).root
    assert change is not None
    content = bytearray(root.file.read_bytes())
    change(content, root.verified)
    return bytes(content)


def strangers(root: RootImage) -> bytes:
    """What a stranger puts in the place of a device's root."""
    (attack,) = [each for each in attacks_on_device(X86_64, 1) if "a stranger's root" in each.name]
    assert attack.foreign is not None
    return attack.foreign(Tools(X86_64, b"", root.file.read_bytes(), root.file.parent))


def said_by_erofs(file: Path) -> str:
    """What EROFS's own checker finds wrong; it looks at the checksum of the file system, as the kernel does."""
    done = subprocess.run(["/usr/bin/fsck.erofs", file], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode or "<E>" in done.stdout + done.stderr else ""


@needs_tools
@pytest.mark.parametrize(
    "changed",
    [
        lambda root: on_disk(root, "first data block"),
        lambda root: on_disk(root, "top of the tree"),
        lambda root: on_disk(root, "leaves of the tree"),
        strangers,
    ],
    ids=["first-data-block", "top-of-the-tree", "leaves-of-the-tree", "a-strangers-root"],
)
def test_a_changed_root_would_mount_and_dm_verity_alone_refuses_it(
    tmp_path: Path, changed: Callable[[RootImage], bytes]
) -> None:
    root = made(tmp_path)
    bound, file = root.verified, tmp_path / "changed.img"
    file.write_bytes(changed(root))
    assert file.read_bytes() != root.file.read_bytes()
    assert said_by_erofs(file) == ""
    assert verified(root.file, bound.root_hash, bound.salt, bound.blocks)
    assert not verified(file, bound.root_hash, bound.salt, bound.blocks)


@needs_tools
@pytest.mark.parametrize("at", [1024, 1024 + 64], ids=["magic-number", "under-its-checksum"])
def test_another_byte_of_the_first_block_would_not_mount_anyway(tmp_path: Path, at: int) -> None:
    """The control: what EROFS refuses by itself is seen as that."""
    root = make_root(small_tree(), tmp_path / "root.img", name="test")
    content = bytearray(root.file.read_bytes())
    content[at] ^= 1
    root.file.write_bytes(content)
    assert "erofs" in said_by_erofs(root.file)


@pytest.mark.parametrize("part", ["top of the tree", "leaves of the tree"])
def test_an_attack_on_the_tree_leaves_the_data_as_they_are(tmp_path: Path, part: str) -> None:
    blocks, tree = 10 * 128, 11
    (tmp_path / "root.img").write_bytes(bytes((blocks + tree) * BLOCK_BYTES))
    changed = on_disk(RootImage(tmp_path / "root.img", VerifiedRoot("", "", blocks), {}), part)
    assert changed[: blocks * BLOCK_BYTES] == bytes(blocks * BLOCK_BYTES)
    assert any(changed[blocks * BLOCK_BYTES :])


@pytest.mark.parametrize(
    ("started", "accepted", "lines", "last"),
    [
        ("", False, (), "it says nothing"),
        ("b", True, ("1", "2", "3", "4"), "2 . 3 . 4"),
        ("a", False, ("1",), "1"),
    ],
)
def test_no_attack_says_anything_of_an_image_that_does_not_come_up_unchanged(
    monkeypatch: pytest.MonkeyPatch, started: str, accepted: bool, lines: tuple[str, ...], last: str
) -> None:
    monkeypatch.setattr(attacks, "play", lambda *_, **__: iter([Outcome("nothing", started, accepted, 1.0, lines)]))
    with pytest.raises(HostError, match=f"does not come up in slot A before any attack: {last}$"):
        check_unchanged(Path("image"), within_s=5.0)


def test_an_image_that_comes_up_unchanged_is_played_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    up = Outcome("nothing", "a", accepted=True, seconds=1.0, lines=())

    def played(_: Path, *, within_s: float, attacks: tuple[Attack, ...]) -> Iterator[Outcome]:
        assert (within_s, attacks) == (5.0, (UNCHANGED,))
        yield up

    monkeypatch.setattr(attacks, "play", played)
    assert check_unchanged(Path("image"), within_s=5.0) is up

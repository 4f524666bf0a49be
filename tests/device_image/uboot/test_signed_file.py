# SPDX-License-Identifier: Apache-2.0
"""A slot's signed file, held against U-Boot's own fit_check_sign; each change that an attacker makes is refused."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from armillary.device_image.architecture.hardware import HARDWARE
from armillary.device_image.keys import secure_boot_keys
from armillary.device_image.recipe import recipe_folder
from armillary.device_image.tools import run
from armillary.device_image.uboot.attacks import CHANGES, signed_by_a_stranger
from armillary.device_image.uboot.boards import BOARDS
from armillary.device_image.uboot.signed_file import (
    SignedFile,
    chosen,
    compiled,
    join,
    part_of,
    verified_root,
    with_overlay,
)
from armillary.wire.device_image.command_line import VerifiedRoot, slot_of
from armillary.wire.device_image.flattened_tree import nodes_of, properties_of

TOOLS = ("dtc", "fdtoverlay", "fdtput", "mkimage")
# Debian has it not; U-Boot's build makes it.
CHECKER = recipe_folder().parent / ".image/cache/uboot/compile/tools/fit_check_sign"
pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in TOOLS), reason="needs u-boot-tools and device-tree-compiler"
)
# Changes after which all hashes are right: what they would start is whole.
RUNNABLE = {
    "signed file: another configuration",
    "signed file: unsigned",
    "signed file: signed by another key",
    "signed file: its images copied",
}
assert {name for name, _ in CHANGES} >= RUNNABLE
ROOT = VerifiedRoot("0123456789abcdef" * 4, "ab" * 32, 77)


def built(folder: Path, board: str = "imx8mp") -> SignedFile:
    (folder / "base.dts").write_text("/dts-v1/; / { chosen { }; };")
    run(["dtc", "-q", "-O", "dtb", "-o", folder / "base", folder / "base.dts"])
    base = (folder / "base").read_bytes()
    trees = {slot: with_overlay(base, chosen(f"armillary.slot={slot} {ROOT.word()}")) for slot in ("a", "b")}
    key = secure_boot_keys(folder / "keys")["signing"]
    return join(
        b"kernel" * 5000,
        b"initial" * 900,
        trees,
        form=BOARDS[board].kernel,
        name="Armillary OS 1",
        key=key,
        control_tree=base,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("signed")


@pytest.fixture(scope="module")
def made(folder: Path) -> SignedFile:
    return built(folder)


def check(folder: Path, content: bytes, control_tree: bytes, slot: str = "a") -> bool:
    """Whether U-Boot's own program verifies a configuration of the file."""
    (folder / "checked.fit").write_bytes(content)
    (folder / "checked.tree").write_bytes(control_tree)
    if not CHECKER.exists():
        pytest.skip("no fit_check_sign; to enable: armillary image build --arch imx8mp")
    words = [CHECKER, "-f", folder / "checked.fit", "-k", folder / "checked.tree", "-c", f"slot-{slot}"]
    return subprocess.run(words, check=False, capture_output=True).returncode == 0


def test_u_boots_own_program_verifies_the_file_for_each_slot(made: SignedFile, folder: Path) -> None:
    for slot in ("a", "b"):
        assert check(folder, made.content, made.control_tree, slot)
    required = properties_of(made.control_tree)["/signature/key-armillary/required"]
    assert made.control_tree[required[0] :][: required[1]] == b"conf\0"


def test_each_slots_tree_says_the_root_and_the_slot(made: SignedFile) -> None:
    assert verified_root(made.content) == ROOT
    for slot in ("a", "b"):
        place, size = properties_of(made.content)[f"/images/tree-{slot}/data"]
        tree = made.content[place : place + size]
        place, size = properties_of(tree)["/chosen/bootargs"]
        assert slot_of(tree[place : place + size].decode().rstrip("\0")) == slot


def test_a_packed_kernel_of_32_bits_goes_in_as_it_is_and_is_verified(tmp_path: Path) -> None:
    made = built(tmp_path, "armhf")
    place, size = properties_of(made.content)["/images/kernel/data"]
    assert made.content[place : place + size] == b"kernel" * 5000
    for name, value in (("arch", b"arm\0"), ("compression", b"none\0")):
        place, size = properties_of(made.content)[f"/images/kernel/{name}"]
        assert made.content[place : place + size] == value
    assert check(tmp_path, made.content, made.control_tree)
    assert not check(tmp_path, CHANGES[0][1](made.content, tmp_path), made.control_tree)


def test_the_same_input_gives_the_same_file(made: SignedFile, folder: Path) -> None:
    assert built(folder) == made


@pytest.mark.parametrize("change", [change for _, change in CHANGES], ids=[name for name, _ in CHANGES])
def test_each_change_is_refused(made: SignedFile, tmp_path: Path, change: Callable[[bytes, Path], bytes]) -> None:
    changed = change(made.content, tmp_path)
    assert changed != made.content
    assert not check(tmp_path, changed, made.control_tree)


@pytest.mark.parametrize("change", [dict(CHANGES)[name] for name in sorted(RUNNABLE)], ids=sorted(RUNNABLE))
def test_it_is_the_key_that_refuses_what_would_run(
    made: SignedFile, folder: Path, tmp_path: Path, change: Callable[[bytes, Path], bytes]
) -> None:
    """The control: U-Boot without the key takes each of them, so nothing but the signature is wrong with them."""
    without_key = (folder / "base").read_bytes()
    assert "/signature/key-armillary/required" not in properties_of(without_key)
    changed = change(made.content, tmp_path)
    assert check(tmp_path, changed, without_key)
    assert not check(tmp_path, changed, made.control_tree)


def test_a_file_that_a_stranger_signed_has_all_that_ours_has(made: SignedFile, tmp_path: Path) -> None:
    """It is the payload of the attacks on the environment, and has to run if one of them succeeds."""
    stranger, ours = signed_by_a_stranger(made.content, tmp_path), properties_of(made.content)
    others = {path for path in ours if part_of(stranger, path) != part_of(made.content, path)}
    assert others >= {f"/configurations/slot-{slot}/signature/value" for slot in ("a", "b")}
    assert all("/signature/" in path for path in others)


def test_a_signature_that_covers_copies_is_that_of_the_genuine_file(made: SignedFile, tmp_path: Path) -> None:
    """The device tree that is started is the stranger's, the nodes that the list names are as they were signed."""
    changed = dict(CHANGES)["signed file: its images copied"](made.content, tmp_path)
    for name in ("value", "hashed-strings"):
        path = f"/configurations/slot-a/signature/{name}"
        assert part_of(changed, path) == part_of(made.content, path)
    named = part_of(changed, "/configurations/slot-a/signature/hashed-nodes").decode().rstrip("\0").split("\0")
    assert "/images/images/tree-a/hash" in named
    order = list(nodes_of(changed))
    assert order[order.index("/images/images") - 1] not in named, (
        "else the node that has the copies would be signed, too"
    )
    for path in named:
        genuine = path.replace("/images/images/", "/images/")
        assert own_values(changed, path) == own_values(made.content, genuine)
    tree = part_of(changed, "/images/tree-a/data")
    assert part_of(tree, "/chosen/bootargs").startswith(b"stranger=1 ")
    assert part_of(changed, "/images/tree-a/hash/value") == hashlib.sha256(tree).digest()


def own_values(tree: bytes, node: str) -> dict[str, bytes]:
    """What is signed of a node: the values of its own properties but for its data."""
    own = {path.rpartition("/")[2]: path for path in properties_of(tree) if path.rpartition("/")[0] == node.rstrip("/")}
    return {name: part_of(tree, path) for name, path in own.items() if name != "data"}


def test_the_tree_of_the_mt3620s_class_is_whole_and_says_where_its_tpm_is() -> None:
    made = compiled((recipe_folder() / "uboot" / BOARDS["armhf"].tree).read_text("utf-8"))
    found = properties_of(made)
    place, size = found["/tpm@c000000/compatible"]
    assert made[place : place + size] == b"tcg,tpm-tis-mmio\0"
    place, size = found["/reserved-memory/tpm-log@4f000000/reg"]
    region = made[place : place + size]
    log = [found[f"/tpm@c000000/tpm_event_log_{name}"] for name in ("addr", "size")]
    assert b"".join(made[place : place + size] for place, size in log) == region, "U-Boot and Linux have one log"
    assert part_of(made, "/aliases/mmc0") == b"/pcie@10000000/mmc@1,0\0", "the card, the first device on that bus"
    place, size = found["/memory@40000000/reg"]
    assert int.from_bytes(made[place + size - 4 : place + size]) == HARDWARE["armhf"].memory_mb << 20
    cores = {path.split("/")[2] for path in found if path.startswith("/cpus/cpu@")}
    assert len(cores) == HARDWARE["armhf"].processors
    assert properties_of(with_overlay(made, chosen("a line")))["/chosen/bootargs"][1] == len(b"a line\0")

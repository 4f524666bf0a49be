# SPDX-License-Identifier: Apache-2.0
"""A slot's signed file, held against U-Boot's own fit_check_sign; each change that an attacker makes is refused."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from armillary.device_image.architecture.hardware import HARDWARE
from armillary.device_image.keys import secure_boot_keys
from armillary.device_image.recipe import recipe_folder
from armillary.device_image.tools import run
from armillary.device_image.uboot.attacks import CHANGES
from armillary.device_image.uboot.boards import BOARDS
from armillary.device_image.uboot.signed_file import SignedFile, chosen, compiled, join, verified_root, with_overlay
from armillary.wire.device_image.command_line import VerifiedRoot, slot_of
from armillary.wire.device_image.flattened_tree import properties_of

TOOLS = ("dtc", "fdtoverlay", "fdtput", "mkimage")
# Debian has it not; U-Boot's build makes it.
CHECKER = recipe_folder().parent / ".image/cache/uboot/compile/tools/fit_check_sign"
pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in TOOLS), reason="needs u-boot-tools and device-tree-compiler"
)
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


def test_the_tree_of_the_mt3620s_class_is_whole_and_says_where_its_tpm_is() -> None:
    made = compiled((recipe_folder() / "uboot" / BOARDS["armhf"].tree).read_text("utf-8"))
    found = properties_of(made)
    place, size = found["/tpm@c000000/compatible"]
    assert made[place : place + size] == b"tcg,tpm-tis-mmio\0"
    place, size = found["/reserved-memory/tpm-log@4f000000/reg"]
    region = made[place : place + size]
    log = [found[f"/tpm@c000000/tpm_event_log_{name}"] for name in ("addr", "size")]
    assert b"".join(made[place : place + size] for place, size in log) == region, "U-Boot and Linux have one log"
    place, size = found["/memory@40000000/reg"]
    assert int.from_bytes(made[place + size - 4 : place + size]) == HARDWARE["armhf"].memory_mb << 20
    cores = {path.split("/")[2] for path in found if path.startswith("/cpus/cpu@")}
    assert len(cores) == HARDWARE["armhf"].processors
    assert properties_of(with_overlay(made, chosen("a line")))["/chosen/bootargs"][1] == len(b"a line\0")

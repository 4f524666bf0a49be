# SPDX-License-Identifier: Apache-2.0
"""The root file system: what is chosen, what comes with it, and that the same input gives the same bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from armillary.device_image import disk, root_image, tools
from armillary.device_image.architecture.stand_ins import compile_library
from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.device_image.debian import PackedFile, chosen
from armillary.device_image.recipe import read_recipe, recipe_folder
from armillary.device_image.tree import Tree
from armillary.device_image.unified import compile_first_program
from armillary.errors import ConflictError, HostError, InvalidArgumentError
from armillary.wire.device_image.elf_needs import needs_of
from armillary.wire.disk.gpt import SECTOR_BYTES

BUILDS = {name: package for name, package in tools.BUILD.items() if package in ("erofs-utils", "cryptsetup-bin")}
needs_tools = pytest.mark.skipif(
    bool(tools.missing(BUILDS)), reason=f"sudo apt-get install {' '.join(tools.missing(BUILDS))}"
)
needs_file_systems = pytest.mark.skipif(
    bool(tools.missing({"mcopy": "mtools", "mkfs.vfat": "dosfstools", "mke2fs": "e2fsprogs"})),
    reason="sudo apt-get install mtools dosfstools e2fsprogs",
)


def small_tree(*, backwards: bool = False) -> Tree:
    tree = Tree()
    files = {"usr/bin/program": b"\x7fELF" * 3000, "etc/hosts": b"127.0.0.1 localhost\n", "usr/lib/big": bytes(90_000)}
    for path, content in sorted(files.items(), reverse=backwards):
        tree.file(path, content, component=path.partition("/")[0], mode=0o755 if "bin" in path else 0o644)
    tree.link("bin", "usr/bin", component="system")
    tree.folder("proc", component="system", mode=0o555)
    return tree


@needs_tools
def test_the_same_tree_gives_the_same_bytes(tmp_path: Path) -> None:
    made = [
        root_image.make_root(small_tree(backwards=backwards), tmp_path / f"{backwards}.img", name="test")
        for backwards in (False, True)
    ]
    assert made[0].verified == made[1].verified
    assert len({hashlib.sha256(each.file.read_bytes()).hexdigest() for each in made}) == 1


@needs_tools
def test_the_root_hash_is_that_of_an_independent_tree_and_veritysetup_verifies_it(tmp_path: Path) -> None:
    made = root_image.make_root(small_tree(), tmp_path / "root.img", name="test")
    data, bound = made.file.read_bytes(), made.verified
    blocks = data[: bound.blocks * root_image.BLOCK_BYTES]
    assert tree_hash(blocks, bytes.fromhex(bound.salt)).hex() == bound.root_hash
    assert verified(made.file, bound.root_hash, bound.salt, bound.blocks)
    for offset in (5000, len(blocks) + 17):
        damaged = bytearray(data)
        damaged[offset] ^= 1
        (tmp_path / "damaged.img").write_bytes(damaged)
        assert not verified(tmp_path / "damaged.img", bound.root_hash, bound.salt, bound.blocks)


def tree_hash(data: bytes, salt: bytes) -> bytes:
    """Documentation/admin-guide/device-mapper/verity.rst, format 1, written down again."""
    size = root_image.BLOCK_BYTES
    while len(data) > size:
        digests = [hashlib.sha256(salt + data[at : at + size]).digest() for at in range(0, len(data), size)]
        data = b"".join(digests)
        data += bytes(-len(data) % size)
    return hashlib.sha256(salt + data).digest()


def verified(file: Path, root_hash: str, salt: str, blocks: int) -> bool:
    command = [
        *("veritysetup", "verify", "--no-superblock", "--hash=sha256", f"--salt={salt}", f"--data-blocks={blocks}"),
        *("--data-block-size=4096", "--hash-block-size=4096", f"--hash-offset={blocks * 4096}", file, file, root_hash),
    ]
    try:
        tools.run(command)
    except HostError:
        return False
    return True


@needs_tools
def test_what_was_built_is_found_again_only_if_it_is_whole(tmp_path: Path) -> None:
    made = root_image.make_root(small_tree(), tmp_path / "root.img", name="test")
    root_image.remember(made)
    assert root_image.remembered(made.file) == made
    made.file.unlink()
    assert root_image.remembered(made.file) is None


def test_sizes_are_of_files_by_component() -> None:
    assert small_tree().sizes() == {"etc": 20, "system": 0, "usr": 12_000 + 90_000}


@pytest.mark.parametrize("path", ["", "../outside", "a//b", "/absolute"])
def test_no_path_leads_out_of_the_root(path: str) -> None:
    with pytest.raises(ConflictError, match="no path inside the root"):
        Tree().file(path, b"", component="x")


def test_two_packages_with_different_files_of_one_name_are_named() -> None:
    tree = small_tree()
    tree.file("etc/hosts", b"127.0.0.1 localhost\n", component="same")
    with pytest.raises(ConflictError, match="etc/hosts comes from same and other"):
        tree.file("etc/hosts", b"else", component="other")
    with pytest.raises(ConflictError, match="bin is no folder"):
        tree.file("bin/sh", b"", component="other")


def test_a_pattern_that_names_no_file_is_named() -> None:
    files = [PackedFile("usr/bin/a", b"", 0o755), PackedFile("usr/bin/b", b"", 0o755)]
    assert chosen(files, ("usr/bin/*",), ("*/b",), package="p") == files[:1]
    with pytest.raises(InvalidArgumentError, match="package p: no file matches usr/bin/c"):
        chosen(files, ("usr/bin/*", "usr/bin/c"), (), package="p")


@needs_file_systems
def test_a_disk_is_the_same_twice_and_has_the_same_in_both_slots(tmp_path: Path) -> None:
    root = tmp_path / "root.img"
    root.write_bytes(b"root" * 1024)
    digests = set()
    for name in ("one", "two"):
        disk.boot_partition(b"MZ" * 40_000, tmp_path / "started.img", "BOOTX64.EFI")
        disk.data_partition(tmp_path / "data.img")
        made = disk.write_disk(tmp_path / name, started=tmp_path / "started.img", root=root, data=tmp_path / "data.img")
        with (tmp_path / name).open("rb") as file:
            digests.add(hashlib.file_digest(file, "sha256").hexdigest())
    assert len(digests) == 1
    with (tmp_path / "two").open("rb") as file:
        for part, content in (("root-fs", root), ("unified-kernel-image", tmp_path / "started.img")):
            for slot in "ab":
                file.seek(made.partition(f"{part}-{slot}").first_lba * SECTOR_BYTES)
                assert file.read(content.stat().st_size) == content.read_bytes()
    assert (tmp_path / "two").stat().st_blocks * 512 < 100 << 20  # sparse


@needs_file_systems
def test_the_data_partition_has_a_journal_and_nothing_wrong(tmp_path: Path) -> None:
    """Without a journal a power cut leaves folders that cannot be read."""
    disk.data_partition(tmp_path / "data.img")
    said = tools.run(["dumpe2fs", "-h", tmp_path / "data.img"]).decode()
    assert {"has_journal", "extent", "metadata_csum"} <= set(said.split())
    assert "ournal size:" in said
    tools.run(["e2fsck", "-f", "-n", tmp_path / "data.img"])


@needs_file_systems
@pytest.mark.parametrize(("architecture", "name"), [("x86_64", "BOOTX64.EFI"), ("arm64", "BOOTAA64.EFI")])
def test_the_firmware_finds_the_unified_image_in_its_partition(tmp_path: Path, architecture: str, name: str) -> None:
    disk.boot_partition(b"MZ" * 40_000, tmp_path / "started.img", ARCHITECTURES[architecture].started_file)
    tools.run(["mcopy", "-i", tmp_path / "started.img", f"::EFI/BOOT/{name}", tmp_path / "found"])
    assert (tmp_path / "found").read_bytes() == b"MZ" * 40_000


def test_a_root_that_is_larger_than_its_partition_is_refused(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(disk.ROOT_BYTES)
    with pytest.raises(HostError, match=r"root-fs-a: expected at most 100,662,784 bytes, got 100,663,296"):
        disk.write_disk(tmp_path / "disk", started=tmp_path / "small", root=tmp_path / "large", data=tmp_path / "small")


@pytest.mark.parametrize(("architecture", "machine"), [("x86_64", 62), ("arm64", 183)])
def test_the_first_program_compiles_without_a_warning(architecture: str, machine: int) -> None:
    compiler = compiler_of(architecture)
    source = recipe_folder() / "init/init.c"
    program = compile_first_program(source, compiler)
    assert program == compile_first_program(source, compiler)
    assert program.startswith(b"\x7fELF")
    assert int.from_bytes(program[18:20], "little") == machine
    assert needs_of(program) == ()  # static


def test_a_stand_in_has_the_name_that_is_asked_for_and_needs_nothing() -> None:
    compiler = compiler_of("arm64")
    stand_ins = read_recipe(recipe_folder()).stand_ins["arm64"]
    for place, source in stand_ins.items():
        name = Path(place).name
        library = compile_library(recipe_folder() / source, compiler, name)
        assert library == compile_library(recipe_folder() / source, compiler, name)
        assert needs_of(library) == ()
        assert name.encode() + b"\0" in library


def compiler_of(architecture: str) -> str:
    """The compiler of an architecture; skips the test where it is not installed."""
    compiler = ARCHITECTURES[architecture].compiler
    wanted = {
        name: package for name, package in tools.BUILD_FOR[architecture].items() if "gcc" in name or "dm-" in name
    }
    if lacking := tools.missing(wanted):
        pytest.skip(f"sudo apt-get install {' '.join(lacking)}")
    return compiler

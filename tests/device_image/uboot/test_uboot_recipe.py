# SPDX-License-Identifier: Apache-2.0
"""What U-Boot is made of: options with their reasons, the built-in environment, the source as it is pinned and changed."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from armillary.device_image import disk
from armillary.device_image.own_kernel.fragments import read_options
from armillary.device_image.package_sources.fetching import Places
from armillary.device_image.recipe import recipe_folder
from armillary.device_image.tools import digest_of
from armillary.device_image.uboot import building, source
from armillary.device_image.uboot.boards import BOARDS, Board
from armillary.device_image.uboot.building import build_uboot
from armillary.device_image.uboot.source import EDITS, PATCHES, SOURCE, Edit, PinnedFile, edited, fetch, series
from armillary.engines.flash import uboot_slots
from armillary.engines.flash.os_disk import slot_partition
from armillary.errors import HostError, InvalidArgumentError
from armillary.wire.device_image.uboot_measurements import version_value
from armillary.wire.disk.gpt import SECTOR_BYTES
from armillary.wire.disk.uboot_environment import COPY_BYTES

FOLDER = recipe_folder() / "uboot"
# Where a build in this checkout keeps what it has fetched.
CACHE = recipe_folder().parent / ".image/cache/uboot"
# The only commands that the built-in environment uses; echo, setenv, run, test, if and reset are always there.
COMMANDS = {"CONFIG_CMD_BOOTM", "CONFIG_CMD_MMC", "CONFIG_CMD_SAVEENV"}


@pytest.fixture(params=BOARDS)
def board(request: pytest.FixtureRequest) -> Board:
    return BOARDS[request.param]


def options(board: Board) -> dict[str, str]:
    found = list(read_options(FOLDER / board.options))
    assert len({option.name for option in found}) == len(found)
    return {option.name: option.value for option in found}


def environment(board: Board) -> dict[str, str]:
    lines = (FOLDER / board.built_in).read_text("ascii").splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def test_only_signed_files_are_started_and_nobody_is_asked(board: Board) -> None:
    found = options(board)
    wanted = {
        "FIT_SIGNATURE": "y",
        "LEGACY_IMAGE_FORMAT": "n",
        "BOOTDELAY": "-2",
        "ENV_WRITEABLE_LIST": "y",
        "MEASURED_BOOT": "y",
        "MEASURE_DEVICETREE": "y",
        "NO_NET": "y",
        "USB": "n",
        "DEFAULT_ENV_FILE": f'"{board.environment}"',
    }
    assert {name: found[f"CONFIG_{name}"] for name in wanted} == wanted
    assert {name for name, value in found.items() if name.startswith("CONFIG_CMD_") and value == "y"} == COMMANDS
    built_in = environment(board)
    assert built_in["stdin"] == "nulldev"
    assert built_in["bootcmd"].endswith("; reset")


def test_all_that_is_started_goes_into_the_pcr_that_is_judged_and_a_failure_is_not_passed_over() -> None:
    """As U-Boot 2025.01 has it in boot/bootm.c, and as it is compiled."""
    text = (
        "\t\tret = tcg2_measurement_init(&dev, &elog, ign);\n\t\tif (ret)\n\t\t\treturn ret;\n"
        "\t\tret = tcg2_measure_data(dev, &elog, 8, images->os.image_len,\n"
        "\t\tret = tcg2_measure_data(dev, &elog, 9, rd_len, initrd_buf,\n"
        "\t\t\tret = tcg2_measure_data(dev, &elog, 1, images->ft_len,\n"
        "\t\tret = tcg2_measure_data(dev, &elog, 1, strlen(s) + 1, (u8 *)s,\n"
        "\t\tbootm_measure(images);\n"
    )
    for edit in EDITS:
        if edit.file == "boot/bootm.c":
            text = edited(text, edit)
    assert re.findall(r"&elog, (\d), (\w+)", text) == [
        ("4", "images"),
        ("4", "rd_len"),
        ("4", "images"),
        ("1", "strlen"),
    ]
    assert "if ((ret = bootm_measure(images)))" in text
    assert "if (ret == -ENODEV) {" in text
    assert "\t\tif (ret)\n\t\t\treturn ret;" in text


def test_a_start_that_hangs_is_ended_where_the_machine_has_a_watchdog() -> None:
    assert options(BOARDS["imx8mp"])["CONFIG_WATCHDOG_AUTOSTART"] == "y"


def test_the_control_tree_with_the_key_is_our_own() -> None:
    assert options(BOARDS["armhf"])["CONFIG_OF_SEPARATE"] == "y"
    assert any("OF_HAS_PRIOR_STAGE" in edit.pattern and not edit.line for edit in EDITS)


def test_slots_and_environment_are_where_the_disk_has_them(board: Board) -> None:
    made, found, built_in = disk.layout(has_uboot=True), options(board), environment(board)
    place = made.partition(uboot_slots.PARTITION).first_lba * SECTOR_BYTES
    assert int(found["CONFIG_ENV_OFFSET"], 16) == place
    assert int(found["CONFIG_ENV_OFFSET_REDUND"], 16) == place + uboot_slots.SECOND_COPY_BYTES
    assert int(found["CONFIG_ENV_SIZE"], 16) == COPY_BYTES
    for slot in ("a", "b"):
        match = re.fullmatch(rf"mmc read (\w+) (\w+) (\w+) && bootm \1#slot-{slot}", built_in[f"start_{slot}"])
        assert match is not None
        partition = made.partition(slot_partition(disk.STARTED, slot))
        assert (int(match[2], 16), int(match[3], 16)) == (partition.first_lba, disk.SLOT_FILE_BYTES // SECTOR_BYTES)
        assert partition.sectors * SECTOR_BYTES > disk.SLOT_FILE_BYTES


def test_the_other_slot_is_named_before_one_starts_and_a_disk_that_does_not_take_it_is_said(board: Board) -> None:
    built_in = environment(board)
    for slot, other in (("a", "b"), ("b", "a")):
        words = built_in[f"try_{slot}"].split("; ")
        assert words[1:4] == [f"setenv boot_next {other}", "saveenv || run no_save", f"run start_{slot}"]
    assert built_in["no_save"].startswith("echo U-Boot: the disk does not take which slot is next")


def test_the_disk_that_is_started_is_the_one_that_the_first_program_is_told(board: Board) -> None:
    number = options(board)["CONFIG_SYS_MMC_ENV_DEV"]
    assert environment(board)["bootcmd"].startswith(f"mmc dev {number}; ")
    (edit,) = (each for each in EDITS if '"armillary,disk"' in each.line)
    assert '"mmc" __stringify(CONFIG_SYS_MMC_ENV_DEV)' in edit.line
    overlays = [name for name in board.trees.values() if name]
    assert all(f"mmc{number} = " in (FOLDER / name).read_text("utf-8") for name in overlays)


def test_the_disk_is_as_large_as_a_memory_card_of_qemu() -> None:
    assert disk.layout(has_uboot=True).sectors * SECTOR_BYTES == 1 << 30


def test_each_change_of_the_source_has_a_reason_and_one_place() -> None:
    assert all(edit.why.endswith(".") for edit in EDITS)
    edit = Edit("file", r"^old$", "new \\1", "Why.")
    assert edited("x\nold\ny", edit) == "x\nnew \\1\ny"
    for text in ("x", "old\nold"):
        with pytest.raises(ValueError, match="file has"):
            edited(text, edit)


CONTENTS = {"SOURCE": b"the source", "PATCHES": b"the patches"}


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Pins of other contents: name of each file -> what is in it."""
    for name, content in CONTENTS.items():
        sha256, sha1 = (hashlib.new(kind, content).hexdigest() for kind in ("sha256", "sha1"))
        monkeypatch.setattr(source, name, PinnedFile(getattr(source, name).name, sha256, sha1))
    return {getattr(source, name).name: content for name, content in CONTENTS.items()}


def kept(folder: Path, pinned: dict[str, bytes]) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in pinned}


def pretended_mirror(folder: Path, has: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"--tar-only": SOURCE.name, "--diff-only": PATCHES.name}

    def run(words: list[str], **_: object) -> bytes:
        if "source" in words:
            (part,) = (word for word in words if word in files)
            if files[part] not in has:
                raise HostError("404 Not Found", remedy="")
            (folder / files[part]).write_bytes(CONTENTS["SOURCE" if part == "--tar-only" else "PATCHES"])
        return b""

    monkeypatch.setattr(source, "run", run)


def test_the_pinned_files_alone_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pinned: dict[str, bytes]
) -> None:
    """Debian's description of them (.dsc) is not needed, and mirrors were seen that do not have it."""
    pretended_mirror(tmp_path, tuple(pinned), monkeypatch)
    fetch(tmp_path)
    assert kept(tmp_path, pinned) == pinned


@pytest.mark.parametrize("changed", [SOURCE, PATCHES], ids=["source", "patches"])
def test_half_a_file_in_the_cache_is_fetched_again_and_another_than_the_pinned_one_is_refused(
    changed: PinnedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pinned: dict[str, bytes]
) -> None:
    pretended_mirror(tmp_path, tuple(pinned), monkeypatch)
    (tmp_path / changed.name).write_bytes(b"the")
    fetch(tmp_path)
    assert kept(tmp_path, pinned) == pinned
    (tmp_path / changed.name).unlink()
    monkeypatch.setitem(CONTENTS, "SOURCE" if changed is SOURCE else "PATCHES", b"another")
    with pytest.raises(HostError, match=f"{re.escape(changed.name)}: the file that was fetched is not the pinned one"):
        fetch(tmp_path)
    assert not (tmp_path / changed.name).exists()


def test_the_pins_are_digests() -> None:
    for each in (SOURCE, PATCHES):
        assert re.fullmatch(r"[0-9a-f]{64}", each.sha256)
        assert re.fullmatch(r"[0-9a-f]{40}", each.sha1)


def test_what_the_mirror_has_no_more_comes_from_the_archive_of_all_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pinned: dict[str, bytes]
) -> None:
    """As the patches, when Debian has a later version of them."""
    pretended_mirror(tmp_path, (SOURCE.name,), monkeypatch)
    told: list[str] = []
    with pytest.raises(
        HostError, match=r"debian\.tar\.xz is not to be had: Debian's mirror: 404 .*127.0.0.1:1:"
    ) as raised:
        fetch(tmp_path, Places(archive="http://127.0.0.1:1", told=told.append))
    assert raised.value.code == "host.packages-missing"
    assert told == [f"{PATCHES.name}: not at Debian's mirror any more, asking http://127.0.0.1:1"]
    asked: list[tuple[str, str]] = []

    def fetch_file(digest: str, file: Path, *, address: str) -> None:
        asked.append((digest, address))
        file.write_bytes(CONTENTS["PATCHES"])

    monkeypatch.setattr(source.snapshot, "fetch_file", fetch_file)
    fetch(tmp_path, Places(archive="http://all"))
    assert asked == [(hashlib.sha1(b"the patches", usedforsecurity=False).hexdigest(), "http://all")]
    assert kept(tmp_path, pinned) == pinned


def test_without_a_network_the_files_come_from_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pinned: dict[str, bytes]
) -> None:
    monkeypatch.setattr(source, "run", lambda *_, **__: pytest.fail("the mirror was asked"))
    folder, cache = tmp_path / "folder", tmp_path / "cache"
    folder.mkdir()
    (folder / SOURCE.name).write_bytes(pinned[SOURCE.name])
    with pytest.raises(InvalidArgumentError, match=rf"expected U-Boot's source, {re.escape(PATCHES.name)}"):
        fetch(cache, Places(folder=folder))
    assert not cache.exists()
    (folder / PATCHES.name).write_bytes(pinned[PATCHES.name])
    fetch(cache, Places(folder=folder))
    assert kept(cache, pinned) == pinned


def test_the_pinned_files_are_those_of_debians_version() -> None:
    upstream, revision = source.VERSION.split("-")
    assert SOURCE.name == f"{source.PACKAGE}_{upstream}.orig.tar.bz2"
    assert PATCHES.name == f"{source.PACKAGE}_{upstream}-{revision}.debian.tar.xz"


def pretended_source(folder: Path, monkeypatch: pytest.MonkeyPatch, patch: str) -> None:
    """Little files of the form of Debian's, pinned, with one patch and one change of ours."""
    packed, debian = folder / "packed" / source.FOLDER, folder / "packed/debian"
    (packed / "tools/patman").mkdir(parents=True)
    (packed / "tools/patman/page").touch()
    (packed / "option").write_text("old\n")
    (packed / "hole").write_text("before\nopen\nbehind\n")
    (debian / "patches/security").mkdir(parents=True)
    (debian / "patches/series").write_text("# of Debian\nsecurity/hole.patch  # CVE-0\n\n")
    (debian / "patches/security/hole.patch").write_text(patch)
    for name, pinned, inside in (("SOURCE", SOURCE, packed), ("PATCHES", PATCHES, debian)):
        with tarfile.open(folder / pinned.name, f"w:{pinned.name.rpartition('.')[2]}") as archive:
            archive.add(inside, inside.name)
        monkeypatch.setattr(source, name, PinnedFile(pinned.name, digest_of(folder / pinned.name), ""))
    monkeypatch.setattr(source, "EDITS", (Edit("option", r"^old$", "new", "Why."),))


CLOSED = "Why.\n--- a/hole\n+++ b/hole\n@@ -1,3 +1,3 @@\n before\n-open\n+closed\n behind\n"


def test_the_source_is_unpacked_of_the_pinned_files_each_time_and_patched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretended_source(tmp_path, monkeypatch, CLOSED)
    for _ in range(2):
        with source.unpacked(tmp_path) as folder:
            assert (folder / "hole").read_text() == "before\nclosed\nbehind\n"
            assert (folder / "option").read_text() == "new\n"
            assert not (folder / "tools/patman").exists()
            (folder / "option").write_text("somebody changes it")
        assert not folder.exists()


@pytest.mark.parametrize("line", ["-open", " behind"], ids=["not-at-all", "but-for-a-line-beside-it"])
def test_a_patch_that_does_not_fit_makes_no_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    pretended_source(tmp_path, monkeypatch, CLOSED.replace(line, f"{line} another"))
    with pytest.raises(HostError, match="patch failed"), source.unpacked(tmp_path):
        pytest.fail("it was unpacked")
    assert not (tmp_path / "source").exists()


def test_patches_are_taken_in_the_order_of_debians_list() -> None:
    assert series("b.patch\n# not this one\n\na/c.patch # why\n") == ("b.patch", "a/c.patch")


def test_other_patches_and_other_changes_are_another_u_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = source.origin()
    monkeypatch.setattr(source, "PATCHES", PinnedFile(PATCHES.name, "0" * 64, ""))
    assert source.origin() != ours
    monkeypatch.undo()
    monkeypatch.setattr(source, "EDITS", EDITS[1:])
    assert source.origin() != ours


def test_the_list_of_signed_nodes_is_not_read_of_the_file_itself(tmp_path: Path) -> None:
    """CVE-2026-46728: nothing signs it, so who writes the file chooses what a signature is held against."""
    if not all((CACHE / each.name).exists() for each in (SOURCE, PATCHES)):
        pytest.skip("no source of U-Boot; to enable: armillary image build --arch armhf")
    for each in (SOURCE, PATCHES):
        (tmp_path / each.name).symlink_to(CACHE / each.name)
    with source.unpacked(tmp_path) as folder:
        text = (folder / "boot/image-fit-sig.c").read_text()
    assert "fit_config_get_hash_list(fit, conf_noffset," in text
    assert '"hashed-nodes"' not in text


def pretend_compile(folder: Path, board: Board, monkeypatch: pytest.MonkeyPatch, *, takes_all: bool = True) -> Path:
    """A compile that makes the program of the built-in environment and the version, the tree of the options.

    Returns the cache, to which a link leads.
    """
    configuration, place = folder / "compile/.config", folder / board.environment
    place.parent.mkdir(parents=True)
    cache = folder / "cache"
    cache.symlink_to(folder)

    def run(words: list[str | Path]) -> bytes:
        assert words[0] != "make" or f"KCFLAGS=-ffile-prefix-map={folder.resolve()}=." in words
        if words[-1] == "olddefconfig":
            text = configuration.read_text()
            configuration.write_text(text if takes_all else text.replace("CONFIG_FIT_SIGNATURE=y\n", ""))
        if words[-1] == "dts/dt.dtb":
            (folder / "compile/dts").mkdir()
            (folder / "compile/dts/dt.dtb").write_bytes(configuration.read_bytes())
            named = re.search(r'^CONFIG_LOCALVERSION="(.*)"$', configuration.read_text(), re.MULTILINE)
            assert named is not None
            version = f"\0U-Boot 2025.01{named[1]} (Jan 01 2026 - 00:00:00 +0000)\0".encode()
            (folder / "compile/u-boot-nodtb.bin").write_bytes(place.read_bytes() + version)
        return b"gcc 14\n"

    monkeypatch.setattr(building, "run", run)
    monkeypatch.setattr(building, "unpacked", lambda _cache: contextlib.nullcontext(cache))
    return cache


@pytest.mark.parametrize("takes_all", [True, False])
def test_u_boot_is_compiled_with_these_options_and_this_environment(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, takes_all: bool
) -> None:
    """The compile is a pretended one: a source that drops an option makes no U-Boot."""
    cache = pretend_compile(tmp_path, board, monkeypatch, takes_all=takes_all)
    if not takes_all:
        with pytest.raises(InvalidArgumentError, match="CONFIG_FIT_SIGNATURE=y became n"):
            build_uboot(board, FOLDER, cache, lambda _: None)
        assert not [*tmp_path.glob("built-*")]
        return
    made = build_uboot(board, FOLDER, cache, lambda _: None)
    (kept,) = tmp_path.glob("built-*/u-boot-nodtb.bin")
    assert made.program.startswith((FOLDER / board.built_in).read_bytes())
    assert {
        *(option.as_configured() for option in read_options(FOLDER / board.options)),
        f'CONFIG_LOCALVERSION="{kept.parent.name.removeprefix("built")}"',
    } == {*made.tree.decode().splitlines()}
    kept.write_bytes(b"changed where it is kept")
    assert build_uboot(board, FOLDER, cache, lambda _: None) == made


def test_whatever_u_boot_is_made_of_is_in_what_it_measures_of_itself(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = pretend_compile(tmp_path, board, monkeypatch)
    recipe = tmp_path / "recipe"
    shutil.copytree(FOLDER, recipe)

    def measured() -> bytes:
        return version_value(build_uboot(board, recipe, cache, lambda _: None).program)

    values = [measured()]
    assert measured() == values[0]
    monkeypatch.setattr(source, "PATCHES", PinnedFile(PATCHES.name, "0" * 64, ""))
    values.append(measured())
    monkeypatch.setattr(source, "EDITS", EDITS[1:])
    values.append(measured())
    for name, more in ((board.options, "CONFIG_MORE=y  # another option\n"), (board.built_in, "more=1\n")):
        with (recipe / name).open("a") as file:
            file.write(more)
        values.append(measured())
    assert len(set(values)) == len(values)

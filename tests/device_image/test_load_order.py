# SPDX-License-Identifier: Apache-2.0
"""Modules of the kernel: what a module needs is loaded before it, each once, and what is missing is named."""

from __future__ import annotations

import pytest
import zstandard

from armillary.device_image.kernel import Kernel, load_order, module_name, needs_of, with_modules
from armillary.device_image.unified import initial_files
from armillary.errors import InvalidArgumentError

NEEDS = {
    "dm_verity": ("dm_bufio", "reed_solomon", "dm_mod"),
    "dm_bufio": ("dm_mod",),
    "dm_mod": (),
    "reed_solomon": (),
    "erofs": ("libcrc32c",),
    "libcrc32c": (),
    "circle": ("circle",),
    "broken": ("gone",),
}


def test_what_a_module_needs_comes_before_it() -> None:
    assert load_order(NEEDS, ["dm-verity", "erofs", "dm_mod"], set()) == [
        "dm_mod",
        "dm_bufio",
        "reed_solomon",
        "dm_verity",
        "libcrc32c",
        "erofs",
    ]


def test_what_the_kernel_has_within_is_not_loaded() -> None:
    assert load_order(NEEDS, ["erofs", "virtio_pci"], {"libcrc32c", "virtio_pci"}) == ["erofs"]


@pytest.mark.parametrize(
    ("wanted", "named"), [("gone", "gone"), ("broken", "gone .broken needs it"), ("circle", "circle")]
)
def test_a_module_that_is_not_there_is_named(wanted: str, named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"no module {named}"):
        load_order(NEEDS, [wanted], set())


def test_what_a_module_needs_stands_in_itself() -> None:
    module = b"\x7fELF\0license=GPL\0depends=dm-mod,dm-bufio\0name=dm_verity\0depends=\0"
    assert needs_of(module) == ("dm_mod", "dm_bufio")


def test_a_module_is_known_by_the_kernel_without_its_ending() -> None:
    assert module_name("usr/lib/modules/6.12/kernel/drivers/md/dm-verity.ko.xz") == "dm_verity"


def test_a_compiled_module_is_loaded_after_what_it_needs_and_refused_without() -> None:
    kernel = Kernel("6.12", b"", {"tpm_tis_core.ko": b""})
    module = b"license=GPL\0depends=tpm_tis_core\0"
    assert [*with_modules(kernel, {"tpm_tis": module}).modules] == ["tpm_tis_core.ko", "tpm_tis.ko"]
    later = Kernel("6.12", b"", {"tpm_tis_core.ko": b"", "ahci.ko": b""}, later=1)
    assert [*with_modules(later, {"tpm_tis": module}).modules] == ["tpm_tis_core.ko", "tpm_tis.ko", "ahci.ko"]
    assert with_modules(later, {"tpm_tis": module}).later == 1
    with pytest.raises(InvalidArgumentError, match="tpm_tis needs tpm_tis_core"):
        with_modules(Kernel("6.12", b"", {}), {"tpm_tis": module})


def test_what_is_loaded_only_where_it_is_needed_is_in_an_order_of_its_own() -> None:
    modules = {f"{name}.ko": name.encode() for name in ("virtio_blk", "erofs", "libata", "ahci")}
    archive = zstandard.ZstdDecompressor().decompress(initial_files(b"first", Kernel("6", b"", modules, later=2)))
    assert b"virtio_blk.ko\nerofs.ko\n" in archive
    assert b"erofs.ko\nlibata.ko" not in archive
    assert b"libata.ko\nahci.ko\n" in archive
    assert b"modules/order\0" in archive
    assert b"modules/later\0" in archive
    all_at_once = zstandard.ZstdDecompressor().decompress(initial_files(b"first", Kernel("6", b"", modules)))
    assert b"modules/later" not in all_at_once
    assert b"virtio_blk.ko\nerofs.ko\nlibata.ko\nahci.ko\n" in all_at_once

# SPDX-License-Identifier: Apache-2.0
"""Compiles U-Boot, or finds it in the cache: the same bytes of the same input, without any key."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from armillary.device_image.kept.made_folder import made_folder
from armillary.device_image.own_kernel import fragments
from armillary.device_image.own_kernel.fragments import Option
from armillary.device_image.tools import MADE_AT, run
from armillary.device_image.uboot.boards import Board
from armillary.device_image.uboot.source import origin, unpacked

# Raised when the way of building changes, so that no older build is taken from a cache.
RECIPE: Final = 3
# What U-Boot's version ends with: of what this one was made, so that its measurement is another one for each.
VERSION_OPTION: Final = "CONFIG_LOCALVERSION"


@dataclass(frozen=True, slots=True)
class UBoot:
    """U-Boot's program and its control device tree, which has no key yet."""

    program: bytes
    tree: bytes


def build_uboot(board: Board, recipe: Path, cache: Path, progress: Callable[[str], None]) -> UBoot:
    """Compile what a folder (``image/uboot``) says of a board; what was compiled of the same input before is taken.

    Of another input U-Boot has another version, which it measures: ``U-Boot 2025.01-KEY (...)``, KEY of 16 hex digits.
    What is kept and was changed is compiled again. The source is unpacked for it alone, of the pinned files.

    Raises:
        HostError: the source is not to be had, or the compile failed.
        InvalidArgumentError: the fragment is wrong, or the source does not take an option as it is wanted.
    """
    wanted = tuple(fragments.read_options(recipe / board.options))
    environment = (recipe / board.built_in).read_bytes()
    compiler = run([f"{board.prefix}gcc", "--version"]).decode().splitlines()[0]
    text = "\n".join((str(RECIPE), board.configuration, origin(), fragments.digest(wanted), compiler))
    key = hashlib.sha256(text.encode() + environment).hexdigest()[:16]

    named = Option(VERSION_OPTION, f'"-{key}"', "says of what this U-Boot was made", __name__)

    def compiled(folder: Path) -> None:
        work = cache / "compile"
        with unpacked(cache) as source:
            (source / board.environment).write_bytes(environment)
            _compile(board, (*wanted, named), source, work, progress)
        shutil.copyfile(work / "u-boot-nodtb.bin", folder / "u-boot-nodtb.bin")
        shutil.copyfile(work / "dts/dt.dtb", folder / "dt.dtb")

    kept = made_folder(cache / f"built-{key}", compiled)
    progress("U-Boot")
    return UBoot((kept / "u-boot-nodtb.bin").read_bytes(), (kept / "dt.dtb").read_bytes())


def _compile(board: Board, wanted: Sequence[Option], source: Path, work: Path, progress: Callable[[str], None]) -> None:
    """Configure and compile in a folder of its own."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    source = source.resolve()  # as make names it, also where a link leads there: files' names get into the program
    make: list[str | Path] = ["make", "--directory", source, f"O={work.resolve()}", f"CROSS_COMPILE={board.prefix}"]
    make += [f"SOURCE_DATE_EPOCH={MADE_AT}", f"KCFLAGS=-ffile-prefix-map={source}=."]
    run([*make, board.configuration])
    with (work / ".config").open("a", encoding="utf-8") as file:
        file.write(fragments.configured(wanted))
    run([*make, "olddefconfig"])
    fragments.refuse_lost(wanted, (work / ".config").read_text("utf-8"))
    progress("U-Boot configured; compiling takes half a minute")
    run([*make, "--jobs=2", "u-boot-nodtb.bin", "dts/dt.dtb"])

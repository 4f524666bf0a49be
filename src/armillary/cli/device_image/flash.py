# SPDX-License-Identifier: Apache-2.0
"""``armillary image flash``: writes a built device image to a disk of this host, or to a file."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from armillary.cli.device_image.build import report_since, words_of_keys
from armillary.cli.device_image.told import read_enrolment
from armillary.cli.terminal.files import read_file
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import noun, record
from armillary.errors import ConflictError, InvalidArgumentError

if TYPE_CHECKING:
    from armillary.device_image.flashing.boards import Board
    from armillary.device_image.flashing.image_disk import Piece
    from armillary.device_image.flashing.target import Target
    from armillary.wire.disk.gpt_writing import Layout

app = noun("Images of a catalog.")
app.callback(help="Images of a catalog.")(lambda: None)

BoardName = Literal["x86-gateway", "arm64-gateway", "imx8mp-evk", "imx8mp-evk-emmc"]
_SIZE = re.compile(r"([1-9][0-9]{0,6})(M|G|MiB|GiB)?")
_UNITS = {None: 1, "M": 1_000_000, "G": 1_000_000_000, "MiB": 1 << 20, "GiB": 1 << 30}


@app.command("flash")
def flash(
    to: Annotated[Path, typer.Option("--to", metavar="DISK|FILE", help="A whole disk (/dev/sdX), or a file.")],
    board: Annotated[BoardName, typer.Option("--board", help="What shall start from it.")] = "x86-gateway",
    image: Annotated[
        Path | None, typer.Option("--image", metavar="DIR", help="A built image: the board's in .image if not given.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="BYTES", help="Size of a file: 4G, 8000M, 2GiB. As the image if not given."),
    ] = None,
    loader: Annotated[
        Path | None,
        typer.Option("--loader", metavar="FILE", help="What the board's processor starts first (i.MX: flash.bin)."),
    ] = None,
    enrolment: Annotated[
        Path | None, typer.Option("--enrolment", metavar="FILE", help="JSON that says whose device it becomes.")
    ] = None,
    allow_development: Annotated[
        bool, typer.Option("--allow-development", help="Flash a development image, for devices of your own only.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask to name the disk, or before a file is replaced.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the device image to a disk, and read it back.

    A disk must be a whole one that nothing uses, and large enough. It is erased: you are asked to
    name it by its model and size. It gets GUIDs of its own, and its data partition reaches to its
    end. A file is as a disk would be, for a machine in QEMU or for a programmer of many disks.
    No board was ever tried: it says what was seen in QEMU, and what nobody has seen.
    """
    from uuid import uuid4  # noqa: PLC0415 - for this verb only

    from armillary.device_image.flashing.boards import BOARDS  # noqa: PLC0415
    from armillary.device_image.flashing.image_disk import image_disk  # noqa: PLC0415
    from armillary.device_image.flashing.medium import opened  # noqa: PLC0415
    from armillary.device_image.flashing.source import image_for, refuse_itself  # noqa: PLC0415
    from armillary.device_image.flashing.writing import write  # noqa: PLC0415
    from armillary.device_image.recipe import recipe_folder  # noqa: PLC0415

    told = None if enrolment is None else read_enrolment(enrolment)
    chosen = BOARDS[board]
    folder = image or recipe_folder().parent / ".image" / chosen.image
    about = image_for(board, folder, allow_development=allow_development)
    refuse_itself(folder, to)
    progress = report_since(time.monotonic())
    with image_disk(folder, about) as disk:
        given = None if loader is None else _loader(loader, chosen, folder, disk.layout)
        with opened(_target(to, size, disk.layout, yes=yes)) as medium:
            disk.verify()
            progress("the image is the one that was built")
            if medium.target.is_disk and not yes:
                _ask(medium.target)
            made = write(disk, medium, guids=uuid4, progress=progress, loader=given, enrolment=told)
    data = made.partitions[-1]
    found = {"to": str(to), "board": board, "disk_guid": str(made.guid), "data_bytes": data.sectors * 512}
    if chosen.loader is not None:
        found["loader_bytes"] = 0 if given is None else given.size
    marked = {"test_keys": about.test_keys, "shown_in_qemu": chosen.shown, "not_shown": chosen.not_shown}
    lacks = chosen.loader.lacks if chosen.loader is not None and given is None else None
    shown = record(found | marked, row=lambda _: found)
    notes = (f"Seen in QEMU: {chosen.shown}.", f"Seen nowhere: {chosen.not_shown}.")
    attention = None if lacks is None else f"Attention: {lacks}."
    shown.then(attention, words_of_keys(test_keys=about.test_keys), *notes).show(as_json=as_json)


def _loader(file: Path, board: Board, folder: Path, layout: Layout) -> Piece:
    """The board's loader, which is looked at: with a wrong one the board says nothing."""
    from armillary.device_image.flashing.loader import MAX_BYTES, loader_piece  # noqa: PLC0415 - for this option only

    return loader_piece(read_file(file, limit=MAX_BYTES), board, folder, layout)


def _target(to: Path, size: str | None, layout: Layout, *, yes: bool) -> Target:
    """What is written to: a disk that nothing uses, or a file."""
    from armillary.device_image.flashing.target import file_target, look, means_disk  # noqa: PLC0415 - for this verb only

    if not means_disk(to):
        if to.exists() and not yes:
            raise ConflictError(f"{to} is there already", remedy="Name another file; --yes replaces it.")
        return file_target(to, _bytes(size), least_sectors=layout.sectors)
    if size is not None:
        raise typer.BadParameter("--size is for files: a disk has its own")
    return look(to, least_sectors=layout.sectors)


def _ask(target: Target) -> None:
    """Have the disk named by whoever wants it erased: its model and size, which a slip of a letter does not give."""
    if not sys.stdin.isatty():
        raise InvalidArgumentError(
            f"{target.path} ({target.words}) would be erased, and nobody is there to be asked",
            remedy="Run it on a terminal, or say --yes.",
        )
    sys.stderr.write(f"All that is on {target.path} is lost: {target.words}.\n")
    said = typer.prompt(f"Write its model and size ({target.words}) to go on", default="", show_default=False, err=True)
    if said.strip() != target.words:
        raise InvalidArgumentError(
            f"expected {target.words}, got {said!r:.80}: nothing was written",
            remedy="Look again: lsblk -o NAME,MODEL,SIZE.",
        )


def _bytes(size: str | None) -> int | None:
    if size is None:
        return None
    match = _SIZE.fullmatch(size)
    if match is None:
        raise typer.BadParameter(f"--size: expected a number with M, G, MiB or GiB, got {size!r:.40}")
    return int(match[1]) * _UNITS[match[2]]

# SPDX-License-Identifier: Apache-2.0
"""What is written to a disk: an image that is for it, and never over the image itself."""

from __future__ import annotations

from pathlib import Path

from armillary.device_image.architecture.description import Description, build_command, read_description
from armillary.device_image.flashing.boards import BOARDS
from armillary.device_image.flashing.target import Kernel, backing_file
from armillary.errors import InvalidArgumentError


def image_for(board: str, image: Path, *, allow_development: bool) -> Description:
    """What an image says of itself, if it is for a board.

    Raises:
        InvalidArgumentError: there is no built image, it is one for another processor, or one for development and
            nobody allowed that.
    """
    wanted = BOARDS[board].image
    description = read_description(image, wanted=wanted)
    if description.architecture != wanted:
        raise InvalidArgumentError(
            f"--image {image}: expected an image of {wanted}, which {board} starts, "
            f"got one of {description.architecture or 'nothing that it names'}",
            remedy=f"Build one: {build_command(wanted)}; or name another board.",
        )
    if description.development and not allow_development:
        raise InvalidArgumentError(
            f"--image {image}: a development image gives whoever is at its console a shell, without a password",
            remedy=f"Flash the release image ({build_command(wanted)}); --allow-development is for own devices.",
        )
    return description


def refuse_itself(image: Path, to: Path, kernel: Kernel | None = None) -> None:
    """InvalidArgumentError if what is written to is the image, a part of it by whatever name, or lies in its folder."""
    behind = backing_file(to, kernel or Kernel())
    for place in (to,) if behind is None else (to, behind):
        found = place.resolve()
        around = (found, *found.parents)
        if any(each.exists() and each.samefile(image) for each in around) or _is_file_of(image, found):
            raise InvalidArgumentError(
                f"--to {to}: expected a place outside of {image}: it would be written over the image itself",
                remedy="Name a file in another folder, or a disk.",
            )


def _is_file_of(image: Path, place: Path) -> bool:
    """Whether a file is one of the image's, by another name (a hard link)."""
    return place.is_file() and any(each.is_file() and each.samefile(place) for each in image.rglob("*"))

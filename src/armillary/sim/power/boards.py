# SPDX-License-Identifier: Apache-2.0
"""The boards there are: every chip profile on its usual flash, then on the others that it names, or on all."""

from __future__ import annotations

from armillary import content
from armillary.boot import profile
from armillary.errors import NotFoundError
from armillary.sim.power import geometry
from armillary.sim.power.case import Board
from armillary.sim.power.supply import Supply


def board_names() -> tuple[str, ...]:
    """``chip/flash`` of every board, a chip's usual flash first."""
    names: list[str] = []
    for chip in content.chip_names():
        found = profile.parse(content.chip_document(chip))
        others = content.flash_names() if found.other_flash is None else found.other_flash
        media = [found.flash, *(name for name in others if name != found.flash)]
        names += [f"{chip}/{medium}" for medium in media if medium]
    return tuple(names)


def matching(wanted: str) -> tuple[str, ...]:
    """The boards that a person means: one as ``chip/flash``, or all of a chip or of a flash by its name.

    Raises:
        NotFoundError: there is none.
    """
    found = tuple(name for name in board_names() if wanted == name or wanted in name.split("/"))
    if not found:
        raise NotFoundError(
            f"no board {wanted!r}",
            remedy=f"Name a chip ({', '.join(content.chip_names())}), a flash ({', '.join(content.flash_names())}) or "
            "both as CHIP/FLASH.",
        )
    return found


def open_board(name: str) -> Board:
    """The board of a name that :func:`board_names` has."""
    chip, _, medium = name.partition("/")
    supply = Supply(profile.parse(content.chip_document(chip)))
    return Board(supply=supply, geometry=geometry.parse(content.flash_document(medium)))

# SPDX-License-Identifier: Apache-2.0
"""A board as commands take it: the name of a shipped one, or a file."""

from __future__ import annotations

from pathlib import Path

from armillary import content
from armillary.capability.board import LIMIT_BYTES, Board, parse
from armillary.errors import InvalidArgumentError, ManifestError


def load_board(given: str) -> Board:
    """The board of a name of ``content/boards``, or of a file where none is called so.

    Raises:
        InvalidArgumentError: neither is there, or the file cannot be read.
        ManifestError: the file is no board.
    """
    return parse(board_bytes(given))


def board_bytes(given: str) -> bytes:
    """The file that :func:`load_board` reads, which is a board; it raises as that does."""
    if given in content.board_folders():
        return content.board_file(given)
    try:
        with Path(given).open("rb") as file:
            data = file.read(LIMIT_BYTES + 1)
    except OSError as error:
        raise InvalidArgumentError(
            f"--board: expected a file or one of {', '.join(content.board_folders())}, got {given!a:.60}",
            remedy="Name a board; docs/reference/boards.md has its format.",
        ) from error
    try:
        parse(data)
    except ManifestError as error:
        named = ManifestError(f"{given}: {error.path}", expected=error.expected, got=error.got)
        named.remedy = "Correct the named value; docs/reference/boards.md has the format of boards."
        raise named from error
    return data

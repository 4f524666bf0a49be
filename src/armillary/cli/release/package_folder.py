# SPDX-License-Identifier: Apache-2.0
"""What is packed into image packages: a folder's files, read and written, hardware definitions, and the time of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from armillary import content
from armillary.errors import InvalidArgumentError
from armillary.wire.image import hardware_definition
from armillary.wire.image.hardware_definition import DEFINITION_LIMIT_BYTES, DefinitionSet


def read_folder(folder: Path) -> dict[str, bytes]:
    """Every regular file below a folder: path relative to it, with forward slashes -> content.

    Symbolic links are refused: what they point to may not be meant for the package.

    Raises:
        InvalidArgumentError: no such folder, nothing in it, or something that is neither file nor folder.
    """
    if not folder.is_dir():
        raise InvalidArgumentError(f"{folder}: expected a folder, got none", remedy="Check --package-directory.")
    files: dict[str, bytes] = {}
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(parent) / name
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise InvalidArgumentError(
                    f"{path}: expected a file or folder, got a link or special file",
                    remedy="Replace it with the file it stands for, or remove it from the package.",
                )
            if path.is_file():
                files[path.relative_to(folder).as_posix()] = read_file(path)
    return files


def read_file(path: Path) -> bytes:
    """The content of a file. Raises InvalidArgumentError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidArgumentError(
            f"{path}: expected a readable file, got {error.strerror}", remedy="Check the path."
        ) from error


def write_folder(folder: Path, files: Mapping[str, bytes], *, option: str) -> None:
    """Write files (path below ``folder`` -> content) to a new folder, which ``option`` of the command line names.

    Raises:
        InvalidArgumentError: it exists or cannot be written.
    """
    try:
        folder.mkdir(parents=True)
        for path, content in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    except OSError as error:
        raise InvalidArgumentError(
            f"{folder}: expected a new folder that can be written, got {error.strerror}",
            remedy=f"Name a folder that does not exist with {option}.",
        ) from error


class DefinitionFiles(Mapping[str, bytes]):
    """Hardware definition files by path, read when they are asked for."""

    def __getitem__(self, key: str) -> bytes:
        path = Path(key)
        if not path.is_file():
            raise KeyError(key)
        with path.open("rb") as file:
            return file.read(DEFINITION_LIMIT_BYTES + 1)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and Path(key).is_file()

    def __iter__(self) -> Iterator[str]:
        raise TypeError("files are looked up by path, not listed")

    def __len__(self) -> int:
        raise TypeError("files are looked up by path, not counted")


def load_definitions(paths: list[str]) -> list[DefinitionSet]:
    """Load hardware definitions: a file is one definition, a folder is searched for what files import.

    A shipped board's name, where no path is called so, stands for the names that it gives to its peripherals.

    Raises:
        InvalidArgumentError: a path that does not exist.
        ManifestError: a definition is not valid.
    """
    named = {path: load_board_definition(path) for path in paths if not Path(path).exists()}
    found = [definition for definition in named.values() if definition is not None]
    return [*_load_files([Path(path).absolute() for path in paths if named.get(path) is None]), *found]


def load_board_definition(board: str) -> DefinitionSet | None:
    """The names that a shipped board gives to its peripherals; None where there is no such board, or it gives none."""
    data = content.board_definition(board) if board in content.board_folders() else None
    return None if data is None else hardware_definition.load(f"{board}.json", {f"{board}.json": data})


def _load_files(entries: list[Path]) -> list[DefinitionSet]:
    for entry in entries:
        if not entry.exists():
            raise InvalidArgumentError(
                f"{entry}: expected a hardware definition or a folder of them, got nothing", remedy="Check the path."
            )
    folders = [str(entry if entry.is_dir() else entry.parent) for entry in entries]
    files = DefinitionFiles()
    return [
        hardware_definition.load(os.path.normpath(entry), files, search=folders) for entry in entries if entry.is_file()
    ]


def build_time() -> int:
    """SOURCE_DATE_EPOCH (reproducible-builds.org) or now, Unix seconds. Raises InvalidArgumentError."""
    written = os.environ.get("SOURCE_DATE_EPOCH")
    if written is None:
        return int(time.time())
    if not written.isascii() or not written.isdigit() or len(written) > 12:
        raise InvalidArgumentError(
            f"SOURCE_DATE_EPOCH: expected Unix seconds, got {written!r}", remedy="Correct or unset the variable."
        )
    return int(written)

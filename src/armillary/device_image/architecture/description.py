# SPDX-License-Identifier: Apache-2.0
"""What a built image says of itself (``image.json``), and whether its files are the ones that were built."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from armillary.device_image.tools import digest_of
from armillary.errors import InvalidArgumentError

FILE: Final = "image.json"


class Description(msgspec.Struct, frozen=True):
    """``image.json``: what the image is for, whether it is one for development, SHA-256 of its files by name.

    ``test_keys`` is whether test keys signed it; None where its build did not say that yet.
    """

    architecture: str = ""
    development: bool = False
    test_keys: bool | None = None
    sha256: dict[str, str] = {}


def read_description(image: Path, *, wanted: str | None = None) -> Description:
    """What the image in a folder says of itself; ``wanted`` is the architecture that the remedy says how to build.

    Raises:
        InvalidArgumentError: there is no built image, or this user may not read it.
    """
    try:
        return msgspec.json.decode((image / FILE).read_bytes(), type=Description)
    except PermissionError as error:
        raise InvalidArgumentError(
            f"{error.filename}: expected a built device image that this user may read: {error.strerror}",
            remedy="Give this user the folder, or name another one: --image DIR.",
        ) from error
    except FileNotFoundError as error:
        raise not_built(image, f"there is no {FILE}", wanted=wanted) from error
    except OSError as error:
        raise not_built(image, f"{FILE}: {error.strerror}", wanted=wanted) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise not_built(image, f"{FILE}: {error}", wanted=wanted) from error


def verified(image: Path, name: str, description: Description) -> Path:
    """A file of an image, once it was seen to be the one that its description names.

    Raises:
        InvalidArgumentError: it is missing, or another one than was built.
    """
    file, stated = image / name, stated_digest(image, name, description)
    try:
        found = digest_of(file)
    except OSError as error:
        raise not_readable(file, error, description) from error
    if found != stated:
        raise not_as_built(file, stated, found, description)
    return file


def stated_digest(image: Path, name: str, description: Description) -> str:
    """SHA-256 (hex) that a description has of a file; InvalidArgumentError if it has none."""
    stated = description.sha256.get(name)
    if stated is None:
        raise InvalidArgumentError(
            f"{image / FILE}: expected the digest of {name}, it has none", remedy=_copy_or_build(description)
        )
    return stated


def not_as_built(file: Path, stated: str, found: str, description: Description) -> InvalidArgumentError:
    """The error for a file of an image with another SHA-256 (hex) than the description has."""
    return InvalidArgumentError(
        f"{file}: expected the file that was built (SHA-256 {stated[:16]}... in {FILE}), "
        f"got {file.stat().st_size:,} bytes with {found[:16]}...",
        remedy=_copy_or_build(description),
    )


def not_readable(file: Path, error: OSError, description: Description) -> InvalidArgumentError:
    """The error for a file of an image that the operating system does not give."""
    return InvalidArgumentError(f"{file}: cannot be read ({error.strerror})", remedy=_copy_or_build(description))


def _copy_or_build(description: Description) -> str:
    return f"Copy the whole image again, or build it: {build_command(description.architecture or None)}."


def not_built(image: Path, reason: str, *, wanted: str | None = None) -> InvalidArgumentError:
    """The error for a folder that has no built image."""
    return InvalidArgumentError(
        f"{image}: expected a built device image: {reason}", remedy=f"Build it first: {build_command(wanted)}."
    )


def build_command(architecture: str | None) -> str:
    """The command that builds an image for an architecture, if one is known."""
    return f"armillary image build --arch {architecture}" if architecture else "armillary image build"

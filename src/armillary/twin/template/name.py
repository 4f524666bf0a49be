# SPDX-License-Identifier: Apache-2.0
"""Names of templates and ids of their documents: ``NAME`` is the draft, ``NAME.1`` its first published version."""

from __future__ import annotations

import re
from typing import Final

from armillary.errors import InvalidArgumentError, NotFoundError

# A template's name is part of file names and addresses, with a dot and a version behind it.
MAX_NAME_CHARACTERS: Final = 100
# For descriptions (JSON Schema), and below.
NAME_PATTERN: Final = rf"^[a-z0-9](?:[a-z0-9_-]{{0,{MAX_NAME_CHARACTERS - 2}}}[a-z0-9])?$"
_NAME = re.compile(NAME_PATTERN)
_PUBLISHED = re.compile(r"(.+)\.([1-9][0-9]{0,5})\Z")


def check_name(name: str) -> str:
    """``name``, if a template may have it, else raise InvalidArgumentError."""
    if not _NAME.fullmatch(name):
        raise InvalidArgumentError(
            f"template: expected 1 to {MAX_NAME_CHARACTERS} of a-z 0-9 _ -, a letter or digit first and last,"
            f" got {name[:64]!a}",
            remedy="Choose such a name; what people read is the display name.",
        )
    return name


def published_id(name: str, version: int) -> str:
    """Document id of a published version."""
    return f"{name}.{version}"


def made_identifier(name: str, version: int) -> str:
    """The model identifier of a published version that came with none."""
    return f"dtmi:armillary:template_{identifier_word(name)};{max(1, version)}"


def identifier_word(name: str) -> str:
    """A name as part of a model identifier."""
    return re.sub(r"[^a-z0-9]+", "_", name).strip("_")


def split_id(document_id: str) -> tuple[str, int]:
    """Name and version of a template's document; version 0 for a draft."""
    found = _PUBLISHED.match(document_id)
    return (document_id, 0) if found is None else (found[1], int(found[2]))


def not_published(name: str, version: int | None) -> NotFoundError:
    """The error where a published version does not exist, or is another catalog's; the caller raises it."""
    which = "no published version" if version is None else f"no published version {version}"
    return NotFoundError(f"template {name!a} has {which}", remedy=f"armillary template publish --template {name}")

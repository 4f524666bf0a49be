# SPDX-License-Identifier: Apache-2.0
"""Pictures that come with application templates, named ``TEMPLATE/FILE``; uploaded ones are in ``uploads.py``.

A picture is looked at, never run: whoever opens one by its address gets it with a policy that lets it do nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from armillary import content
from armillary.errors import NotFoundError
from armillary.wire.picture.policy import PICTURE_POLICY

MEDIA_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp", ".jpg": "image/jpeg"}
)
HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": PICTURE_POLICY,
        "Cache-Control": "private, max-age=3600",
    }
)
_TEMPLATE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")
_FILE = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\.(?:svg|png|webp|jpg)\Z")


@dataclass(frozen=True, slots=True)
class Picture:
    """Its bytes and what they are."""

    content: bytes
    media_type: str


def find(template: str, file: str) -> Picture:
    """A picture of an application template.

    Raises:
        NotFoundError: there is none of this name.
    """
    if _TEMPLATE.match(template) and _FILE.match(file):
        place = content.folder("templates") / template / "images" / file
        if place.is_file():
            return Picture(place.read_bytes(), MEDIA_TYPES[file[file.rindex(".") :]])
    raise NotFoundError(
        f"there is no picture {template[:64]!a}/{file[:64]!a}",
        remedy="Choose another picture in the dashboard's tile.",
    )


def shipped() -> list[tuple[str, str]]:
    """Template and file of every picture that application templates bring."""
    images = ((each.name, each / "images") for each in content.folder("templates").iterdir())
    return sorted(
        (name, each.name)
        for name, folder in images
        if folder.is_dir()
        for each in folder.iterdir()
        if _FILE.match(each.name)
    )

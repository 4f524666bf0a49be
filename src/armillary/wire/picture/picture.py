# SPDX-License-Identifier: Apache-2.0
"""A picture by its bytes, whatever its name says: PNG, JPEG or SVG, without what is no picture.

Of PNG and JPEG the picture itself stays; texts, places and times that cameras and programs write into files go, and so
does what stands behind the end. Of SVG shapes, text and their looks stay (``svg.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from armillary.errors import InvalidArgumentError
from armillary.wire.picture.jpeg import clean_jpeg
from armillary.wire.picture.png import clean_png
from armillary.wire.picture.refusal import refused

# A floor plan as SVG is some 20 KB, a photo of 1600 pixels 300 KB; as base64 it fits a document (1 MiB).
MAX_PICTURE_BYTES: Final = 512 << 10
# A screen has 4,000 pixels; a browser needs four bytes for each that a file claims to have.
MAX_SIDE: Final = 8192
MAX_PIXELS: Final = 24_000_000
# Media type -> ending of a file's name.
ENDINGS: Final[Mapping[str, str]] = MappingProxyType(
    {"image/png": ".png", "image/jpeg": ".jpg", "image/svg+xml": ".svg"}
)
_BEGINNINGS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture that can do nothing."""

    content: bytes
    media_type: str  # a key of ENDINGS
    width: int  # pixels; of SVG the units of its own
    height: int
    removed: tuple[str, ...] = ()  # what of the file is not in it, in words


def read_picture(data: bytes) -> Picture:
    """The picture of a file.

    Raises:
        InvalidArgumentError: too large, damaged, or no PNG, JPEG or SVG.
    """
    if len(data) > MAX_PICTURE_BYTES:
        raise InvalidArgumentError(
            f"picture: expected at most {MAX_PICTURE_BYTES >> 10} KiB, got {-(-len(data) >> 10)} KiB",
            remedy="Make it smaller: 1600 pixels are enough for a dashboard, and JPEG needs less than PNG for a photo.",
        )
    media_type = media_type_of(data)
    clean: Mapping[str, Callable[[bytes], tuple[bytes, int, int, tuple[str, ...]]]] = {
        "image/png": clean_png,
        "image/jpeg": clean_jpeg,
        "image/svg+xml": _clean_svg,
    }
    content, width, height, removed = clean[media_type](data)
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise InvalidArgumentError(
            f"picture: expected at most {MAX_SIDE} pixels a side and {MAX_PIXELS:,} in all, got {width} x {height}",
            remedy="Make it smaller: 1600 pixels are enough for a dashboard.",
        )
    return Picture(content=content, media_type=media_type, width=width, height=height, removed=removed)


def _clean_svg(data: bytes) -> tuple[bytes, int, int, tuple[str, ...]]:
    # a reader of XML with all that it brings (0.6 MB), of which a service that is given no drawing has no need
    from armillary.wire.picture.svg import clean_svg  # noqa: PLC0415

    return clean_svg(data)


def media_type_of(data: bytes) -> str:
    """What the bytes are: a key of ENDINGS. Raises InvalidArgumentError for anything else."""
    for beginning, media_type in _BEGINNINGS:
        if data.startswith(beginning):
            return media_type
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return "image/svg+xml"
    raise refused("a PNG, JPEG or SVG file", f"other bytes ({data[:8].hex(' ')})" if data else "an empty file")

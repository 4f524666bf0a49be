# SPDX-License-Identifier: Apache-2.0
"""Pictures that people upload for tiles and floor plans of dashboards, as documents.

::

    {"name": "Pump house", "catalog": "Contoso", "media_type": "image/png", "width": 600, "height": 300,
     "content": "iVBORw0KGgo..."}

The id is the name of a file, ``pump-house.png``, and a tile shows it as ``uploaded/pump-house.png``. What is kept is a
picture that can do nothing (``wire/picture/picture.py``), as base64.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, Final

from armillary.errors import InvalidArgumentError
from armillary.wire.encoding.json_fields import MAX_NAME_CHARACTERS, JsonFields
from armillary.wire.picture.picture import ENDINGS, MAX_PICTURE_BYTES, MAX_SIDE, Picture, read_picture

# Where tiles look for uploaded pictures; others are named by their application template.
UPLOADED: Final = "uploaded"
MAX_CONTENT_CHARACTERS: Final = -(-MAX_PICTURE_BYTES // 3) * 4
REMEDY: Final = "docs/guides/dashboards.md says how pictures are uploaded; nothing was kept."
_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\.(?:svg|png|jpg)\Z")


def image_of(picture_id: str) -> str:
    """How a tile names an uploaded picture."""
    return f"{UPLOADED}/{picture_id}"


def check_picture_id(picture_id: str, media_type: str) -> None:
    """Raise InvalidArgumentError unless an id is a file name whose ending says what the picture is."""
    ending = ENDINGS[media_type]
    if not _ID.match(picture_id) or not picture_id.endswith(ending):
        raise InvalidArgumentError(
            f"picture id: expected a-z 0-9 . _ - and the ending {ending}, at most 67, got {picture_id!a:.80}",
            remedy=f"Name it after what it is, such as pump-house{ending}.",
        )


def document_of_picture(name: str, catalog: str | None, picture: Picture) -> dict[str, Any]:
    """The body of a picture's document."""
    return {
        "name": name,
        "catalog": catalog,
        "media_type": picture.media_type,
        "width": picture.width,
        "height": picture.height,
        "content": base64.b64encode(picture.content).decode("ascii"),
    }


def content_of(body: Mapping[str, Any]) -> bytes:
    """The bytes of a picture's document."""
    return base64.b64decode(body["content"])


def decoded(content: object) -> bytes:
    """The bytes of base64; raises InvalidArgumentError."""
    if not isinstance(content, str) or len(content) > MAX_CONTENT_CHARACTERS:
        got = f"{len(content)} characters" if isinstance(content, str) else type(content).__name__
        raise InvalidArgumentError(
            f"picture.content: expected base64 of at most {MAX_PICTURE_BYTES >> 10} KiB, got {got}",
            remedy="Make the picture smaller: 1600 pixels are enough for a dashboard.",
        )
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgumentError(
            "picture.content: expected base64, got something else", remedy="Send the file's bytes as base64 (RFC 4648)."
        ) from error


def parse_picture(document: object) -> Picture:
    """The picture of a ``picture`` document; raises InvalidArgumentError with the field and what was expected.

    A document from elsewhere is refused if its picture is not as this service keeps it.
    """
    fields = JsonFields(document, "picture", REMEDY)
    fields.text("name", most=MAX_NAME_CHARACTERS)
    fields.optional_text("catalog", most=MAX_NAME_CHARACTERS)
    said = (
        fields.choice("media_type", tuple(ENDINGS), ""),
        fields.integer("width", 1, MAX_SIDE),
        fields.integer("height", 1, MAX_SIDE),
    )
    data = decoded(fields.text("content", most=MAX_CONTENT_CHARACTERS))
    fields.finish()
    picture = read_picture(data)
    if picture.removed or picture.content != data:
        left = ", ".join(picture.removed) or "what is written otherwise"
        raise InvalidArgumentError(f"picture.content: expected a clean picture, got one with {left}", remedy=REMEDY)
    if said != (picture.media_type, picture.width, picture.height):
        raise fields.refused(
            "media_type, width, height", f"{picture.media_type}, {picture.width}, {picture.height}", said
        )
    return picture

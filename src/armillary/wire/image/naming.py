# SPDX-License-Identifier: Apache-2.0
"""What an image is called where people read it: its name, and its version beside it where it has one.

The format of image packages has no version. Who uploads an image says it; it is text that people compare, and decides
nothing: devices and roll-outs tell images apart by their ids.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from armillary.errors import InvalidArgumentError

# Semantic versions, Debian's, dates and build numbers; swupdate copies it into JSON text as it is.
VERSION_LENGTH: Final = 64
VERSION_PATTERN: Final = "^[A-Za-z0-9][A-Za-z0-9._+~:-]{0,63}$"
VERSION_RULE: Final = "1 to 64 letters, digits and . _ + ~ : -, a letter or digit first"
_VERSION: Final = re.compile(VERSION_PATTERN)


def is_version(text: str) -> bool:
    """Whether an image can have this version."""
    return _VERSION.fullmatch(text) is not None


def check_version(text: str) -> None:
    """Raise InvalidArgumentError unless an image can have this version."""
    if not is_version(text):
        raise InvalidArgumentError(
            f"version: expected {VERSION_RULE}, got {text[:60]!a}", remedy="Choose another, or leave it out."
        )


def image_label(name: str, version: str | None) -> str:
    """``gateway 2.1``; the name alone for an image without a version."""
    return f"{name} {version}" if version else name


def label_of(image: Mapping[str, Any]) -> str:
    """The same for an image as the API shows it, with ``name`` and ``version``."""
    return image_label(str(image["name"]), image.get("version"))

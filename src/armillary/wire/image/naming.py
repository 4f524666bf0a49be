# SPDX-License-Identifier: Apache-2.0
"""What an image is called where people read it: its name, and its version beside it where it has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def image_label(name: str, version: str | None) -> str:
    """``gateway 2.1``; the name alone for an image without a version."""
    return f"{name} {version}" if version else name


def label_of(image: Mapping[str, Any]) -> str:
    """The same for an image as the API shows it, with ``name`` and ``version``."""
    return image_label(str(image["name"]), image.get("version"))

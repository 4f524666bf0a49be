# SPDX-License-Identifier: Apache-2.0
"""The error of a file that is no picture."""

from __future__ import annotations

from armillary.errors import InvalidArgumentError


def refused(expected: str, got: str) -> InvalidArgumentError:
    """What was expected of the file, and what it is instead; the caller raises it."""
    return InvalidArgumentError(
        f"picture: expected {expected}, got {got}", remedy="Save it as PNG, JPEG or SVG with a program for pictures."
    )

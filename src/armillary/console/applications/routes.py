# SPDX-License-Identifier: Apache-2.0
"""Rows of the gallery of applications."""

from __future__ import annotations

from typing import Final

from armillary.console.applications import read
from armillary.console.applications.pages_applications import HERE
from armillary.console.frame.rows import Change, Changer, Reader

_ONE: Final = f"{HERE}/{{name}}"
READ: tuple[tuple[str, Reader], ...] = ((HERE, read.gallery), (_ONE, read.application))
CHANGE: tuple[tuple[str, Changer, Change], ...] = ((f"{_ONE}/use", read.use, "use_application_template"),)

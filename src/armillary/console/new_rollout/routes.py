# SPDX-License-Identifier: Apache-2.0
"""Rows of the pages from an upload to a roll-out."""

from __future__ import annotations

from typing import Final

from armillary.console.frame.rows import Change, Changer, Reader, Taker
from armillary.console.new_rollout import change, read
from armillary.console.operations.pages_rollout import NEW
from armillary.console.releases.pages_images import NEW as NEW_IMAGE

_HELD: Final = NEW_IMAGE + "/{catalog}/{held_id}"
_OS: Final = "/releases/{release_id}/rollout"

EDIT: tuple[tuple[str, Reader, Change], ...] = (
    (NEW_IMAGE, read.new_image, "hold_packages"),
    (_HELD, read.held_images, "show_held"),
    (NEW, read.new_rollout, "start_rollout"),
    (_OS, read.os_rollout, "start_os_rollout"),
)
CHANGE: tuple[tuple[str, Changer, Change], ...] = (
    (_HELD + "/{verb}", change.answer_held, "keep_held"),
    (NEW + "/{verb}", change.roll_out, "start_rollout"),
    (_OS + "/{verb}", change.roll_out_os, "start_os_rollout"),
)
UPLOAD: tuple[tuple[str, Taker, str, int], ...] = (
    (NEW_IMAGE, change.take_images, "hold_packages", change.MAX_FORM_BYTES),
)

# SPDX-License-Identifier: Apache-2.0
"""Rows of the page of first devices."""

from __future__ import annotations

from armillary.console.add_devices import change, pages_add_devices as pages, pages_one_command, read
from armillary.console.frame.rows import Change, Changer, Reader, Taker

EDIT: tuple[tuple[str, Reader, Change], ...] = ((pages.HERE, read.page, "claim_devices"),)
CHANGE: tuple[tuple[str, Changer, Change], ...] = (
    (f"{pages.HERE}/{pages.CONNECT}", change.connect, "make_hub_device"),
    (f"{pages.HERE}/{pages.CATALOG}", change.make_catalog, "make_catalog"),
    (f"{pages.HERE}/{pages.PRODUCT}", change.make_product, "make_product"),
    (f"{pages.HERE}/{pages.GROUP}", change.make_group, "make_device_group"),
    (f"{pages.HERE}/{pages_one_command.ONE}", change.make_command, "settings.create_enrolment_token"),
)
# A form with a file: what it may do, and how many bytes it may have.
UPLOAD: tuple[tuple[str, Taker, str, int], ...] = (
    (f"{pages.HERE}/{pages.CLAIM}", change.claim, "claim_devices", pages.MAX_CLAIM_BYTES),
)
READ: tuple[tuple[str, Reader], ...] = ((pages.PROGRESS, read.progress),)

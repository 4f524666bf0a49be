# SPDX-License-Identifier: Apache-2.0
"""Addresses of what is done with tables; ``console/application.py`` puts them into its tables."""

from __future__ import annotations

from typing import Final

from armillary.console.frame.asking import asks
from armillary.console.frame.rows import Change, Changer, Reader
from armillary.console.tables import change

_VIEW: Final = "/table-views/{view_id}"

EDIT: tuple[tuple[str, Reader, Change], ...] = ((f"{_VIEW}/delete", asks(change.delete_question), "delete_view"),)
CHANGE: tuple[tuple[str, Changer, Change], ...] = (
    ("/table-columns", change.choose_columns, "choose_columns"),
    ("/table-views", change.save_view, "save_view"),
    (f"{_VIEW}/rename", change.rename_view, "rename_view"),
    (f"{_VIEW}/delete", change.delete_view, "delete_view"),
)

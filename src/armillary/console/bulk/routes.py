# SPDX-License-Identifier: Apache-2.0
"""Addresses of what is done with many rows; ``console/application.py`` puts them into its tables."""

from __future__ import annotations

from armillary.console.bulk import change
from armillary.console.frame.rows import Change, Changer

CHANGE: tuple[tuple[str, Changer, Change], ...] = (
    ("/bulk/{kind}", change.choose, change.of_kind),
    ("/bulk/{kind}/{verb}", change.perform, change.of_verb),
)

# SPDX-License-Identifier: Apache-2.0
"""The reference of the application interface names every method, with the capability that it needs, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from armillary.device.interface.methods import DeviceParts, method_table
from armillary.device.state.journal import Journal

REFERENCE = Path(__file__).resolve().parents[3] / "docs/reference/application-interface.md"
ROW = re.compile(r"^\| `([a-z-]+\.[a-z.-]+)` \| (?:`([\w.]+)`)? ?\|", re.MULTILINE)


def test_each_method_and_its_capability() -> None:
    table = method_table(DeviceParts(device_id="d0" * 64, journal=Journal(None, lambda: 0)))
    documented = {name: capability or None for name, capability in ROW.findall(REFERENCE.read_text("utf-8"))}
    assert documented == {row.name: row.capability for row in table.rows}

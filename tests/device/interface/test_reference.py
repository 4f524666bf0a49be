# SPDX-License-Identifier: Apache-2.0
"""The reference of the application interface names every method, with the capability that it needs, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from tests.device.interface.asking import parts

from armillary.device.interface.methods import method_table

REFERENCE = Path(__file__).resolve().parents[3] / "docs/reference/application-interface.md"
ROW = re.compile(r"^\| `([a-z0-9-]+\.[a-z.-]+)` \| (?:`([\w.]+)`)? ?\|", re.MULTILINE)


def test_each_method_and_its_capability(tmp_path: Path) -> None:
    table = method_table(parts(tmp_path))
    documented = {name: capability or None for name, capability in ROW.findall(REFERENCE.read_text("utf-8"))}
    assert documented == {row.name: row.capability for row in table.rows}

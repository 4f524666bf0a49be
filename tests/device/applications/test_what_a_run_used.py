# SPDX-License-Identifier: Apache-2.0
"""The journal says of a run what a control group has counted, and nothing of what none has."""

from __future__ import annotations

from pathlib import Path

from armillary.device.applications.supervisor import _used
from armillary.engines.sandbox.control_groups import controllers
from armillary.engines.sandbox.port import ExitStatus


def test_what_nobody_counted_is_not_told_as_none(tmp_path: Path) -> None:
    (tmp_path / "memory.peak").write_text("8192\n")
    memory_alone = ExitStatus(0, None, usage=controllers.usage({"memory": (2, tmp_path)}))
    assert _used(memory_alone) == {"memory_peak_bytes": 8192, "killed_for_memory": 0}
    (tmp_path / "pids.events").write_text("max 0\n")
    both = ExitStatus(0, None, usage=controllers.usage({"memory": (2, tmp_path), "pids": (2, tmp_path)}))
    assert _used(both) == {"memory_peak_bytes": 8192, "killed_for_memory": 0, "processes_refused": 0}

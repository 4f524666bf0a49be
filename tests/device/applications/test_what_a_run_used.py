# SPDX-License-Identifier: Apache-2.0
"""The journal says of a run what a control group has counted, and nothing of what none has."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.device.rig import Rig
from tests.fixtures.waiting import until

from armillary.device.applications.supervisor import _used
from armillary.engines.sandbox.control_groups import controllers
from armillary.engines.sandbox.port import ExitStatus, Usage

NAMES = {"memory_peak_bytes", "killed_for_memory", "processes_refused"}


def test_what_nobody_counted_is_not_told_as_none(tmp_path: Path) -> None:
    (tmp_path / "memory.peak").write_text("8192\n")
    memory_alone = ExitStatus(0, None, usage=controllers.usage({"memory": (2, tmp_path)}))
    assert _used(memory_alone) == {"memory_peak_bytes": 8192, "killed_for_memory": 0}
    (tmp_path / "pids.events").write_text("max 0\n")
    both = ExitStatus(0, None, usage=controllers.usage({"memory": (2, tmp_path), "pids": (2, tmp_path)}))
    assert _used(both) == {"memory_peak_bytes": 8192, "killed_for_memory": 0, "processes_refused": 0}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("counted", "said"),
    [
        (None, {}),
        (Usage(memory_peak_bytes=8192), {"memory_peak_bytes": 8192, "killed_for_memory": 0}),
        (Usage(killed_for_memory=2, processes_refused=3), {"killed_for_memory": 2, "processes_refused": 3}),
    ],
)
async def test_the_log_of_a_device_says_what_was_counted_alone(
    rig: Rig, counted: Usage | None, said: dict[str, int]
) -> None:
    rig.service.deploy(rig.service.application())
    await rig.start()
    await until(lambda: rig.sandbox.runs, "the application runs")
    rig.sandbox.runs[0].end(ExitStatus(0, None, usage=counted))
    await until(lambda: rig.events("application-exited"), "its end is in the log")
    exited = rig.events("application-exited")[0]
    assert {name: exited[name] for name in NAMES & exited.keys()} == said

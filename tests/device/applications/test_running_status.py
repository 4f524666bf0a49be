# SPDX-License-Identifier: Apache-2.0
"""The device's status tells an application that waits to be started again from one that was stopped."""

from __future__ import annotations

from typing import Any

import pytest

from armillary.device.applications import running_status
from armillary.device.applications.supervisor import ApplicationRun


def run(*, kept: bool, runs: bool = False, fault: str | None = None) -> ApplicationRun:
    found = ApplicationRun.__new__(ApplicationRun)
    some: Any = object()
    found.task, found.running, found.start_failure = some if kept else None, some if runs else None, fault
    return found


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (None, "stopped"),
        (run(kept=False), "stopped"),
        (run(kept=True), "restarting"),
        (run(kept=True, runs=True), "running"),
        (run(kept=True, fault="no entry point"), "failed"),
    ],
)
def test_who_waits_to_be_started_again_is_not_stopped(of: ApplicationRun | None, said: str) -> None:
    assert running_status._state(of) == said

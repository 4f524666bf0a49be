# SPDX-License-Identifier: Apache-2.0
"""Queues what happened to the machine itself for the service: it hears of it at the next check-in."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from armillary.device.machine.words import FAULTS, NOTHING_KEPT
from armillary.device.state.layout import DeviceFolder
from armillary.errors import ArmillaryError


class Told(NamedTuple):
    """What process 1 found: whether what is written is there after the next start, and what went wrong."""

    keeps: bool
    faults: tuple[str, ...]


def told_by_process_1(file: str = FAULTS) -> Told:
    """What it left, once; nothing went wrong where it left nothing."""
    path = Path(file)
    try:
        first, *faults = path.read_text("utf-8").split("\n")
        path.unlink()
    except OSError:
        return Told(keeps=True, faults=())
    return Told(first != NOTHING_KEPT, tuple(faults))


def report(folder: DeviceFolder, sentences: Sequence[str]) -> None:
    """Queue a report for each sentence, durably; nothing where there is no device, or no room for them.

    Equal ones are counted in one report until it is sent.
    """
    if not sentences or not folder.is_finished():
        return
    from armillary.device.state.clock import DeviceClock  # noqa: PLC0415 - where something went wrong only
    from armillary.device.state.reports import FAULT, Incident, ReportQueue  # noqa: PLC0415
    from armillary.engines.flash.file import FileFlash  # noqa: PLC0415

    flash = FileFlash(folder.flash)
    with contextlib.suppress(ArmillaryError):  # it was said on the console
        queue = ReportQueue(flash, DeviceClock(flash).now, 0)
        for sentence in sentences:
            queue.add(Incident(event_type=FAULT, event_class="OS", description=sentence))
        queue.flush()

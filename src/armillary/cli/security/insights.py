# SPDX-License-Identifier: Apache-2.0
"""``armillary device insights``: what a device reported of itself, with where its applications crashed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.cli.terminal.device_reference import DeviceOption
from armillary.cli.terminal.output import Shown, noun, table
from armillary.cli.terminal.readable import readable_of
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import LimitOption

verbs = noun()

COLUMNS = ("received_at", "event_category", "event_type", "count", "where", "description")


@remote_command(verbs, "insights")
def insights(remote: RemoteService, device: DeviceOption, limit: LimitOption = 20) -> Shown:
    """List what a device reported of itself.

    Newest first: crashes, exits, blocked connections, updates. Those of all devices of a catalog as CSV: armillary
    catalog download-error-report. Crashes by bug: armillary crash list.
    """
    found = remote.pages(f"/devices/{segment(device)}/error-reports", limit=limit)
    return table(found, COLUMNS, row=_row, empty="The device has reported nothing.")


def _row(report: Mapping[str, Any]) -> Mapping[str, Any]:
    frames = (report["crash"] or {}).get("frames") or [{}]
    innermost = frames[0]
    where = innermost.get("function") or innermost.get("module") or ""
    return readable_of(*COLUMNS)({**report, "where": where})

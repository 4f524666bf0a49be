# SPDX-License-Identifier: Apache-2.0
"""Verbs of ``armillary device`` about its update: where it stands and why not, and check now."""

from __future__ import annotations

from typing import Any

from armillary.cli.terminal.device_reference import DeviceOption
from armillary.cli.terminal.output import Shown, noun, record
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.wire.device.update_reason import INTERVAL

verbs = noun()


@remote_command(verbs, "update-status")
def update_status(remote: RemoteService, device: DeviceOption) -> Shown:
    """Say where a device's update stands.

    And why it does not go on, in words. The codes are those of docs/reference/update-reasons.md.
    """
    return record(remote.get(f"/devices/{segment(device)}/update-status"), row=_row)


@remote_command(verbs, "check-now")
def check_now(remote: RemoteService, device: DeviceOption) -> Shown:
    """Have a device check in at once.

    One that waits for a hint comes within a second; another one hears of it when it next asks for a hint.
    """
    found = remote.post(f"/devices/{segment(device)}/check-now", {})
    return record(found, row=_row).then("asked; look again: armillary device update-status")


def _row(standing: dict[str, Any]) -> dict[str, Any]:
    shown = readable({**standing, "until_at": standing["until"], "check_in_by_at": standing["check_in_by"]})
    meaning = standing["meaning"] if not standing["detail"] else f"{standing['meaning']} ({standing['detail']})"
    row = {"code": standing["code"], "why": meaning, "what_to_do": standing["remedy"], "until": shown["until_at"]}
    version, wanted = standing["os_version"], standing["wanted_os_version"]
    row["os_version"] = f"{version} -> {wanted}" if wanted and wanted != version else version or None
    row["deployment"] = standing["deployment_id"]
    row["lacking"] = ", ".join(standing["lacking"]) or None
    row["rollout"] = standing["rollout_id"]
    row["last_check_in"] = shown["last_check_in_at"]
    if standing["fetch"] is not None:
        row["fetched"] = _fetched(standing["fetch"])
    if standing["check_in_after"] == INTERVAL:
        row["next_check_in_by"] = shown["check_in_by_at"]
    else:
        row["next_check_in"] = standing["check_in_meaning"]
        row["at_the_latest"] = shown["check_in_by_at"]
    if standing["schedule"] is not None:
        windows = "; ".join(standing["schedule"]["windows"])
        row["windows"] = f"{windows} ({standing['schedule']['zone']})" if windows else "at any time"
    return {name: value for name, value in row.items() if value is not None}


def _fetched(fetch: dict[str, Any]) -> str:
    """How far the device is with fetching, such as ``1 of 2 since 2026-11-29T19:21:03Z: kernel at 2026-...``."""
    begun = readable({"begun_at": fetch["begun_at"]})["begun_at"]
    sent = ", ".join(f"{part['name']} at {readable(part)['sent_at']}" for part in fetch["sent"])
    return f"{len(fetch['sent'])} of {fetch['parts']} since {begun}" + (f": {sent}" if sent else "")

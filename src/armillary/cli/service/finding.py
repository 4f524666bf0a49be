# SPDX-License-Identifier: Apache-2.0
"""``armillary finding``: what the watch has found."""

from __future__ import annotations

from typing import Annotated

import typer

from armillary.cli.terminal.device_reference import AnyDeviceOption
from armillary.cli.terminal.output import Shown, noun, only, record, table
from armillary.cli.terminal.readable import readable_of
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import LimitOption, OnlyCatalogOption

app = noun("What the watch has found.")

COLUMNS = ("finding_id", "severity", "status", "kind", "device_count", "count", "title")
FACTS = (
    "finding_id", "severity", "status", "kind", "title", "cause", "proposed_action", "device_count", "device_ids",
    "count", "first_seen", "last_seen", "rollout_id", "deployment_id",
)  # fmt: skip

FindingOption = Annotated[str, typer.Option("--finding", "-f", metavar="ID", help="Finding id.")]


@remote_command(app, "list")
def list_findings(
    remote: RemoteService,
    status: Annotated[
        str, typer.Option("--status", metavar="WORD", help="living (not closed), open, acknowledged, closed or all.")
    ] = "living",
    catalog: OnlyCatalogOption = None,
    device: AnyDeviceOption = None,
    limit: LimitOption = None,
) -> Shown:
    """List findings, newest first."""
    wanted = None if status == "all" else status
    found = list(remote.pages("/findings", limit=limit, status=wanted, catalog=catalog, device=device))
    return table(found, COLUMNS, empty="No such finding.")


@remote_command(app, "show")
def show(remote: RemoteService, finding: FindingOption) -> Shown:
    """Show a finding: cause, extent and what to do."""
    return record(remote.get(f"/findings/{segment(finding)}"), row=readable_of(*FACTS))


@remote_command(app, "acknowledge")
def acknowledge(remote: RemoteService, finding: FindingOption) -> Shown:
    """Say that somebody is on it: it no longer holds roll-outs."""
    return record(remote.post(f"/findings/{segment(finding)}/acknowledge"), row=only(*COLUMNS))


@remote_command(app, "close")
def close(remote: RemoteService, finding: FindingOption) -> Shown:
    """Say that it is dealt with; seen again, it is a new finding."""
    return record(remote.post(f"/findings/{segment(finding)}/close"), row=only(*COLUMNS))

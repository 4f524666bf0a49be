# SPDX-License-Identifier: Apache-2.0
"""``armillary finding``: what the watch has found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from armillary.cli.security import finding_export
from armillary.cli.terminal.device_reference import AnyDeviceOption
from armillary.cli.terminal.output import Shown, adopt, noun, only, record, table
from armillary.cli.terminal.readable import readable_of
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import LimitOption, OnlyCatalogOption
from armillary.cli.terminal.short_ids import FINDING, with_short
from armillary.errors import InvalidArgumentError

app = noun("What the watch has found.")

COLUMNS = ("finding_id", "severity", "status", "kind", "device_count", "count", "title")
FACTS = (
    "finding_id", "severity", "status", "kind", "title", "cause", "proposed_action", "device_count", "device_ids",
    "count", "first_seen", "last_seen", "rollout_id", "deployment_id",
)  # fmt: skip

KIND_COLUMNS = ("kind", "findings", "severities", "observations", "last_seen", "means")

FINDING_HELP = "Finding: its id, or four or more first digits."
FindingOption = Annotated[str, typer.Option("--finding", "-f", metavar="ID", help=FINDING_HELP), FINDING]


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
    return table(found, COLUMNS, row=_listed, empty="No such finding.")


def _listed(found: Mapping[str, Any]) -> dict[str, Any]:
    return with_short(found, "finding_id")


@remote_command(app, "show")
def show(remote: RemoteService, finding: FindingOption) -> Shown:
    """Show a finding: cause, extent and what to do."""
    return record(remote.get(f"/findings/{segment(finding)}"), row=readable_of(*FACTS))


@remote_command(app, "kinds")
def kinds(
    remote: RemoteService,
    status: Annotated[
        str, typer.Option("--status", metavar="WORD", help="open, living (not closed), acknowledged or closed.")
    ] = "open",
    catalog: OnlyCatalogOption = None,
) -> Shown:
    """Count findings by kind and severity."""
    found = remote.get("/finding-kinds", status=status, catalog=catalog)["items"]
    return table(found, KIND_COLUMNS, empty="No such finding.")


@remote_command(app, "acknowledge")
def acknowledge(
    remote: RemoteService,
    finding: Annotated[str | None, typer.Option("--finding", "-f", metavar="ID", help=FINDING_HELP), FINDING] = None,
    kind: Annotated[str | None, typer.Option("--kind", metavar="WORD", help="All open findings of a kind.")] = None,
    severity: Annotated[
        str | None, typer.Option("--severity", metavar="WORD", help="With --kind: only those of a severity.")
    ] = None,
    catalog: OnlyCatalogOption = None,
) -> Shown:
    """Say that somebody is on it: it no longer halts roll-outs. With --kind, on all that are open now."""
    if (finding is None) == (kind is None):
        raise InvalidArgumentError("expected --finding or --kind", remedy="Name a finding, or a kind of findings.")
    if finding is not None:
        return record(remote.post(f"/findings/{segment(finding)}/acknowledge"), row=only(*COLUMNS))
    listed = remote.get("/finding-kinds", status="open", severity=severity, catalog=catalog)["items"]
    up_to = next((each["newest"] for each in listed if each["kind"] == kind), 0)
    body = {"up_to": up_to, "severity": severity}
    return record(remote.post(f"/finding-kinds/{segment(kind or '')}/acknowledge", body, catalog=catalog))


@remote_command(app, "close")
def close(remote: RemoteService, finding: FindingOption) -> Shown:
    """Say that it is dealt with; seen again, it is a new finding."""
    return record(remote.post(f"/findings/{segment(finding)}/close"), row=only(*COLUMNS))


adopt(app, finding_export.verbs)

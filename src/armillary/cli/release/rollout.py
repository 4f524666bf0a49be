# SPDX-License-Identifier: Apache-2.0
"""``armillary rollout``: staged roll-outs of a deployment over a device group."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from armillary.cli.terminal.output import JsonOption, Shown, note, noun, only, record, table
from armillary.cli.terminal.readable import readable, readable_device
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import (
    CatalogOption,
    DeviceGroupOption,
    ImagesOption,
    LimitOption,
    OnlyCatalogOption,
    ProductOption,
    ReasonOption,
    YesOption,
    catalog_name,
    confirm,
    split_ids,
)
from armillary.errors import InvalidArgumentError

app = noun("Staged roll-outs: watch, halt, resume, roll back.")

COLUMNS = ("rollout_id", "state", "product", "group", "cohort", "progress", "failed", "reason")
FACTS = (
    "rollout_id", "state", "reason", "catalog", "product", "group", "deployment_id", "previous_deployment_id",
    "cohort", "progress", "failed", "created_at", "created_by",
)  # fmt: skip

RolloutOption = Annotated[str, typer.Option("--rollout", "-r", metavar="ID", help="Roll-out id.")]
# What happened to a roll-out, a line each.
EVENT_COLUMNS = ("at", "event", "actor", "reason", "finding_id")

# From which severity on a finding holds a roll-out.
HoldSeverity = Literal["low", "medium", "high", "critical", "none"]


def _row(rollout: dict[str, Any]) -> dict[str, Any]:
    counts = rollout["counts"]
    progress = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    steps = rollout["policy"]["cohorts"]
    started = min(rollout["cohort"] + 1, len(steps))
    return {**readable(rollout), "progress": progress or "no devices", "cohort": f"{started} of {len(steps)}"}


def _whole(rollout: dict[str, Any]) -> Shown:
    history = table(rollout["history"], EVENT_COLUMNS, row=readable, empty="") if rollout["history"] else None
    return record(rollout, row=lambda found: only(*FACTS)(_row(found))).then(history)


def _cohorts(text: str) -> list[int]:
    try:
        return [int(part) for part in split_ids([text])]
    except ValueError as error:
        raise InvalidArgumentError(
            f"--cohorts: expected percentages such as 1,10,100, got {text!r}", remedy="Correct the list."
        ) from error


@remote_command(app, "create")
def create(
    remote: RemoteService,
    *,
    product: ProductOption,
    device_group: DeviceGroupOption,
    images: ImagesOption,
    catalog: CatalogOption = None,
    cohorts: Annotated[
        str | None, typer.Option("--cohorts", metavar="PERCENTS", help="Rising percentages, e.g. 1,10,100.")
    ] = None,
    soak_s: Annotated[int | None, typer.Option("--soak", metavar="SECONDS", help="Wait after each cohort.")] = None,
    success_percent: Annotated[
        int | None, typer.Option("--success", metavar="PERCENT", help="Confirmed share before the next cohort.")
    ] = None,
    failure_percent: Annotated[
        int | None, typer.Option("--failures", metavar="PERCENT", help="Failed share that holds the roll-out.")
    ] = None,
    min_failures: Annotated[
        int | None, typer.Option("--min-failures", metavar="N", help="Fewer failures never hold it.")
    ] = None,
    timeout_s: Annotated[
        int | None, typer.Option("--timeout", metavar="SECONDS", help="Unconfirmed for so long counts as failed.")
    ] = None,
    hold_on_severity: Annotated[
        HoldSeverity | None,
        typer.Option("--hold-on-severity", help="A finding of this severity or above holds it; none: no finding does."),
    ] = None,
    roll_back_on_hold: Annotated[bool, typer.Option("--roll-back-on-hold", help="Do not wait for a person.")] = False,
) -> Shown:
    """Put images on a device group step by step."""
    given = {
        "cohorts": _cohorts(cohorts) if cohorts else None,
        "soak_s": soak_s,
        "success_percent": success_percent,
        "failure_percent": failure_percent,
        "min_failures": min_failures,
        "timeout_s": timeout_s,
        "hold_on_severity": "" if hold_on_severity == "none" else hold_on_severity,
        "roll_back_on_hold": roll_back_on_hold or None,
    }
    body = {
        "catalog": catalog_name(remote, catalog),
        "product": product,
        "group": device_group,
        "image_ids": split_ids(images),
        "policy": {name: value for name, value in given.items() if value is not None},
    }
    return _whole(remote.post("/rollouts", body))


@remote_command(app, "list")
def list_rollouts(remote: RemoteService, catalog: OnlyCatalogOption = None, limit: LimitOption = None) -> Shown:
    """List roll-outs, newest first."""
    found = remote.pages("/rollouts", limit=limit, catalog=catalog)
    return table(found, COLUMNS, row=_row, empty="No roll-out. Start one: armillary rollout create --images ID")


@remote_command(app, "show")
def show(remote: RemoteService, rollout: RolloutOption) -> Shown:
    """Show a roll-out and how far it got."""
    return _whole(remote.get(f"/rollouts/{segment(rollout)}"))


@remote_command(app, "devices")
def devices(remote: RemoteService, rollout: RolloutOption, limit: LimitOption = None) -> Shown:
    """List where each device stands in a roll-out."""
    found = remote.pages(f"/rollouts/{segment(rollout)}/devices", limit=limit)
    columns = ("name", "device_id", "cohort", "state", "reason")
    return table(found, columns, row=readable_device, empty="No device has been started yet.")


@remote_command(app, "halt")
def halt(remote: RemoteService, rollout: RolloutOption, reason: ReasonOption = "halted by hand") -> Shown:
    """Stop a roll-out where it is.

    No further device is offered the images. It goes on with armillary rollout resume.
    """
    return _whole(remote.post(f"/rollouts/{segment(rollout)}/halt", {"reason": reason}))


@remote_command(app, "resume")
def resume(remote: RemoteService, rollout: RolloutOption) -> Shown:
    """Let a held roll-out go on."""
    return _whole(remote.post(f"/rollouts/{segment(rollout)}/resume"))


@remote_command(app, "roll-back")
def roll_back(
    remote: RemoteService,
    rollout: RolloutOption,
    reason: ReasonOption = "rolled back by hand",
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Give every device of a roll-out its previous images back."""
    confirm("Roll back every device that this roll-out has touched?", yes=yes)
    _whole(remote.post(f"/rollouts/{segment(rollout)}/roll-back", {"reason": reason})).show(as_json=as_json)
    note("devices get their previous images at their next check-in")


@remote_command(app, "cancel")
def cancel(remote: RemoteService, rollout: RolloutOption, reason: ReasonOption = "cancelled by hand") -> Shown:
    """End a roll-out for good.

    The group's deployment stays the one from before the roll-out.
    """
    return _whole(remote.post(f"/rollouts/{segment(rollout)}/cancel", {"reason": reason}))

# SPDX-License-Identifier: Apache-2.0
"""``armillary rollout``: staged roll-outs of a deployment over a device group."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import typer

from armillary.cli.release.release_view import ReleaseOption, path_of
from armillary.cli.terminal.device_reference import resolve_device
from armillary.cli.terminal.image_reference import ImagesOption, resolve_images
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, note, noun, present, record, table
from armillary.cli.terminal.readable import readable, readable_device
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import (
    CatalogOption,
    DeviceGroupOption,
    LimitOption,
    OnlyCatalogOption,
    ProductOption,
    ReasonOption,
    YesOption,
    catalog_name,
    catalog_path,
    confirm,
    split_ids,
)
from armillary.cli.terminal.short_ids import ROLLOUT, with_short
from armillary.cli.terminal.times import seconds_or_time
from armillary.cli.terminal.together import Together
from armillary.errors import InvalidArgumentError

app = noun("Staged roll-outs: watch, approve, halt, resume, roll back.")

COLUMNS = ("rollout_id", "state", "target", "cohort", "progress", "failed", "reason")
FACTS = (
    "rollout_id", "state", "reason", "target", "catalog", "product", "group", "deployment_id", "previous_deployment_id",
    "release_id", "chip", "version", "feed", "cohort", "progress", "failed", "crashes", "created_at", "created_by",
)  # fmt: skip

RolloutOption = Annotated[
    str, typer.Option("--rollout", "-r", metavar="ID", help="Roll-out: its id, or four or more first digits."), ROLLOUT
]
# How far a roll-out's cohorts are, a line each.
COHORT_COLUMNS = ("name", "progress", "failed")
# What happened to a roll-out, a line each.
EVENT_COLUMNS = ("at", "event", "actor", "reason", "finding_id")

# From which severity on a finding holds a roll-out.
HoldSeverity = Literal["low", "medium", "high", "critical", "none"]


def _progress(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "no devices"


def _row(rollout: dict[str, Any]) -> dict[str, Any]:
    steps = len(rollout["policy"]["rings"]) + len(rollout["policy"]["cohorts"])
    started = min(rollout["cohort"] + 1, steps)
    row = {**readable(rollout), "progress": _progress(rollout["counts"]), "cohort": f"{started} of {steps}"}
    return {**row, "crashes": _crashes(rollout.get("crashes"))}


def _crashes(crashes: dict[str, int] | None) -> str | None:
    """How devices crash with the release and with the one before; None where that is not compared."""
    if not crashes:
        return None
    return (
        f"on {crashes['devices']} devices, on {crashes['devices_before']} with the release before; "
        f"{crashes['evidence_percent']}% of what halts it"
    )


def _cohort_row(cohort: dict[str, Any]) -> dict[str, Any]:
    return {**cohort, "progress": _progress(cohort["counts"])}


def _whole(rollout: dict[str, Any]) -> Shown:
    cohorts = table(rollout["cohorts"], COHORT_COLUMNS, row=_cohort_row, empty="") if rollout["cohorts"] else None
    history = table(rollout["history"], EVENT_COLUMNS, row=readable, empty="") if rollout["history"] else None
    return record(rollout, row=lambda found: present(*FACTS)(_row(found))).then(cohorts).then(history)


def _rings(remote: RemoteService, given: list[str] | None) -> list[dict[str, Any]] | None:
    """The rings of options such as ``Laboratory=DEVICE,DEVICE`` or ``Friends=CATALOG/PRODUCT/GROUP``."""
    rings = []
    for text in given or ():
        name, sign, named = text.partition("=")
        if not (name and sign and named):
            raise InvalidArgumentError(
                "--ring: expected a name and devices or groups such as Laboratory=DEVICE,DEVICE or "
                f"Friends=CATALOG/PRODUCT/GROUP, got {text!a:.80}",
                remedy="Correct it.",
            )
        items = [one for one in map(str.strip, named.split(",")) if one]  # names of groups have spaces
        groups = [one for one in items if "/" in one]
        devices = [resolve_device(remote, one) for one in items if one not in groups]
        rings.append({"name": name, "devices": devices, "groups": groups})
    return rings or None


def _path(rollout: str) -> str:
    """The path of a roll-out in the API. Raises InvalidArgumentError if it can be no id."""
    try:
        return f"/rollouts/{UUID(rollout)}"
    except ValueError as error:
        raise InvalidArgumentError(
            f"--rollout: expected the id of a roll-out, got {rollout!r:.60}",
            remedy="List them: armillary rollout list.",
        ) from error


def _cohorts(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise InvalidArgumentError(
            f"--cohorts: expected percentages such as 1,10,100, got {text!r}", remedy="Correct the list."
        ) from error


def _policy(
    remote: RemoteService,
    *,
    cohorts: str | None,
    rings: list[str] | None,
    hold_on_severity: str | None,
    roll_back_on_hold: bool,
    soak_s: str | None,
    timeout_s: str | None,
    lease_s: str | None,
    **numbers: int | None,
) -> dict[str, Any]:
    """The fields of a policy that were given."""
    times = {"--soak": soak_s, "--timeout": timeout_s, "--lease": lease_s}
    seconds = {
        f"{option.removeprefix('--')}_s": seconds_or_time(text, option)
        for option, text in times.items()
        if text is not None
    }
    given = {
        "rings": _rings(remote, rings),
        "cohorts": None if cohorts is None else _cohorts(cohorts),
        "hold_on_severity": "" if hold_on_severity == "none" else hold_on_severity,
        "roll_back_on_hold": roll_back_on_hold or None,
        **seconds,
        **numbers,
    }
    return {name: value for name, value in given.items() if value is not None}


def _number(name: str, metavar: str, words: str) -> tuple[Any, object]:
    return Annotated[int | None, typer.Option(name, metavar=metavar, help=words)], None


def _time(name: str, words: str) -> tuple[Any, object]:
    return Annotated[str | None, typer.Option(name, metavar="TIME", help=words)], None


# The policy of a roll-out, an option for each of its fields.
Policy = Annotated[
    dict[str, Any],
    Together(
        {
            "cohorts": (
                Annotated[
                    str | None, typer.Option("--cohorts", metavar="PERCENTS", help="Rising percentages, e.g. 1,10,100.")
                ],
                None,
            ),
            "rings": (
                Annotated[
                    list[str] | None,
                    typer.Option(
                        "--ring",
                        metavar="NAME=DEVICES",
                        help="Cohort of devices, or groups as CATALOG/PRODUCT/GROUP, before percentages; may repeat.",
                    ),
                ],
                None,
            ),
            "soak_s": _time("--soak", "Wait after each cohort, such as 90s, 4h or 2d; a plain number is seconds."),
            "success_percent": _number("--success", "PERCENT", "Confirmed share before the next cohort."),
            "failure_percent": _number("--failures", "PERCENT", "Failed share that halts the roll-out."),
            "min_failures": _number("--min-failures", "N", "Fewer failures never halt it."),
            "timeout_s": _time("--timeout", "Unconfirmed for so long, such as 24h, counts as failed."),
            "hold_on_severity": (
                Annotated[
                    HoldSeverity | None,
                    typer.Option(
                        "--hold-on-severity",
                        help="A finding of this severity or above halts it; none: no finding does.",
                    ),
                ],
                None,
            ),
            "false_hold_percent": _number(
                "--false-holds",
                "PERCENT",
                "At most so many releases as good as the one before are halted by comparison with it; 0: none is.",
            ),
            "lease_s": _time("--lease", "For how long an offer may be installed, such as 7d; 0: without end."),
            "roll_back_on_hold": (
                Annotated[bool, typer.Option("--roll-back-on-hold", help="Do not wait for a person.")],
                False,
            ),
        },
        _policy,
    ),
]


@remote_command(app, "create")
def create(
    remote: RemoteService,
    *,
    product: ProductOption,
    device_group: DeviceGroupOption,
    images: ImagesOption,
    policy: Policy,
    catalog: CatalogOption = None,
) -> Shown:
    """Put images on a device group step by step."""
    body = {
        "catalog": catalog_name(remote, catalog),
        "product": product,
        "group": device_group,
        "image_ids": resolve_images(remote, split_ids(images), catalog_path(remote, catalog)),
        "policy": policy,
    }
    return _whole(remote.post("/rollouts", body))


@remote_command(app, "create-os")
def create_os(
    remote: RemoteService,
    *,
    release: ReleaseOption,
    policy: Policy,
    feed: Annotated[
        str, typer.Option("--os-feed", metavar="NAME", help="OS feed whose device groups get it.")
    ] = "Retail",
    catalog: OnlyCatalogOption = None,
) -> Shown:
    """Bring an OS release to the groups of a feed in cohorts.

    It reaches devices of all catalogs, or of the one that is named. When every cohort is confirmed, the release is
    promoted into the feed; one for a single catalog is from then on what the groups of that catalog get.
    """
    body = {"feed": feed, "catalog": catalog, "policy": policy}
    return _whole(remote.post(f"{path_of(remote, release)}/rollout", body))


@remote_command(app, "list")
def list_rollouts(remote: RemoteService, catalog: OnlyCatalogOption = None, limit: LimitOption = None) -> Shown:
    """List roll-outs, newest first."""
    found = remote.pages("/rollouts", limit=limit, catalog=catalog)
    return table(found, COLUMNS, row=_listed, empty="No roll-out. Start one: armillary rollout create --images ID")


def _listed(rollout: dict[str, Any]) -> dict[str, Any]:
    return with_short(_row(rollout), "rollout_id")


@remote_command(app, "show")
def show(remote: RemoteService, rollout: RolloutOption) -> Shown:
    """Show a roll-out and how far it got."""
    return _whole(remote.get(_path(rollout)))


@remote_command(app, "devices")
def devices(
    remote: RemoteService,
    rollout: RolloutOption,
    failed: Annotated[bool, typer.Option("--failed", help="Only devices that failed.")] = False,
    limit: LimitOption = None,
) -> Shown:
    """List where each device stands in a roll-out."""
    chosen = {"failed": "true"} if failed else {}
    found = remote.pages(f"{_path(rollout)}/devices", limit=limit, **chosen)
    columns = ("name", "device_id", "cohort", "state", "waits_until", "reason")
    empty = "No device has failed." if failed else "No device has been started yet."
    return table(found, columns, row=readable_device, empty=empty)


@remote_command(app, "approve")
def approve(remote: RemoteService, rollout: RolloutOption) -> Shown:
    """Let a proposed roll-out begin.

    Who made it cannot approve it.
    """
    return _whole(remote.post(f"{_path(rollout)}/approve"))


@remote_command(app, "approval")
def approval(
    remote: RemoteService,
    catalog: CatalogOption = None,
    needed: Annotated[
        bool | None, typer.Option("--needed/--not-needed", help="Whether roll-outs wait for a second person.")
    ] = None,
) -> Shown:
    """Show or set whether roll-outs need a second person.

    It is a setting of a catalog. While they do, plain deployments, which reach every device at once, are refused.
    """
    path = f"/catalogs/{segment(catalog_name(remote, catalog))}/rollout-approval"
    return record(remote.get(path) if needed is None else remote.put(path, {"needed": needed}))


@remote_command(app, "halt")
def halt(remote: RemoteService, rollout: RolloutOption, reason: ReasonOption = "halted by hand") -> Shown:
    """Stop a roll-out where it is.

    No further device is offered the images. It goes on with armillary rollout resume.
    """
    return _whole(remote.post(f"{_path(rollout)}/halt", {"reason": reason}))


@remote_command(app, "resume")
def resume(remote: RemoteService, rollout: RolloutOption) -> Shown:
    """Let a halted roll-out go on."""
    return _whole(remote.post(f"{_path(rollout)}/resume"))


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
    _whole(remote.post(f"{_path(rollout)}/roll-back", {"reason": reason})).show(as_json=as_json)
    note("devices get their previous images at their next check-in")


@remote_command(app, "cancel")
def cancel(remote: RemoteService, rollout: RolloutOption, reason: ReasonOption = "cancelled by hand") -> Shown:
    """End a roll-out for good.

    The group's deployment stays the one from before the roll-out.
    """
    return _whole(remote.post(f"{_path(rollout)}/cancel", {"reason": reason}))

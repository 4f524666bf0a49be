# SPDX-License-Identifier: Apache-2.0
"""``armillary action``: do something about devices, roll-outs or an advisory, within bounds, and undo it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from armillary.cli.terminal.device_reference import resolve_device
from armillary.cli.terminal.image_reference import resolve_images
from armillary.cli.terminal.output import Shown, note, noun, record, table
from armillary.cli.terminal.readable import readable_of
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import (
    CatalogOption,
    LimitOption,
    OnlyCatalogOption,
    ReasonOption,
    YesOption,
    catalog_name,
    catalog_path,
    confirm,
    in_catalog,
    split_ids,
)
from armillary.cli.terminal.short_ids import ACTION, FINDING, ROLLOUT, with_short
from armillary.cli.terminal.times import seconds_of, seconds_or_time
from armillary.cli.terminal.together import Together
from armillary.errors import InvalidArgumentError

app = noun("Actions: quarantine, revoke, halt, roll back, raise a floor, re-attest, deploy a fix; undo them.")

COLUMNS = ("action_id", "state", "kind", "devices", "done", "asked_by", "asked_at", "said")
FACTS = (
    "action_id", "kind", "does", "state", "said", "reason", "target", "devices", "done", "skipped", "undone",
    "asked_by", "asked_at", "approved_by", "expires_at", "playbook", "finding_id", "can_be_undone", "effects",
)  # fmt: skip
DEVICE_COLUMNS = ("device_id", "state", "done_at", "said")
PREVIEW_FACTS = ("kind", "does", "devices", "fleet", "needs_second_person", "automatic_limit")
# Kinds that are of the whole service: no catalog is looked for.
OF_SERVICE = ("raise-floor",)

ActionOption = Annotated[
    str, typer.Option("--action", "-a", metavar="ID", help="Action: its id, or four or more first digits."), ACTION
]


def _request(
    remote: RemoteService,
    *,
    kind: str,
    devices: list[str] | None,
    device_group: str | None,
    finding: str | None,
    advisory: str | None,
    image: str | None,
    rollout: str | None,
    floor: str | None,
    lasts: str | None,
    channel: str | None,
    message: str | None,
    images: list[str] | None,
    cohorts: str | None,
    soak: str | None,
    catalog: str | None,
) -> tuple[str | None, dict[str, Any]]:
    """The catalog, and the body but for the reason, of options."""
    named = None if kind in OF_SERVICE else catalog_name(remote, catalog)
    target = {
        "devices": [resolve_device(remote, each, named) for each in split_ids(devices)] if devices else None,
        "device_group": device_group,
        "finding": finding,
        "advisory": advisory,
        "image": None if image is None else resolve_images(remote, [image], catalog_path(remote, named))[0],
        "rollout": rollout,
        "floor": None if floor is None else _floor(floor),
    }
    body: dict[str, Any] = {
        "kind": kind,
        "target": {name: value for name, value in target.items() if value is not None},
        "ends_after_s": None if lasts is None else seconds_of(lasts, "--for"),
        "channel": channel,
        "message": message,
        "images": resolve_images(remote, split_ids(images), catalog_path(remote, named)) if images else None,
        "policy": _policy(cohorts, soak) or None,
    }
    return named, {name: value for name, value in body.items() if value is not None}


def _policy(cohorts: str | None, soak: str | None) -> dict[str, Any]:
    """How careful the roll-out of a fix is, where that was said."""
    found: dict[str, Any] = {}
    if cohorts is not None:
        parts = cohorts.split(",")
        if not all(part.strip().isdecimal() for part in parts):
            raise InvalidArgumentError(
                f"--cohorts: expected percentages such as 1,10,100, got {cohorts!a:.60}", remedy="Correct the list."
            )
        found["cohorts"] = [int(part) for part in parts]
    if soak is not None:
        found["soak_s"] = seconds_or_time(soak, "--soak")
    return found


def _floor(text: str) -> dict[str, Any]:
    parts = text.split("/")
    if len(parts) != 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):
        raise InvalidArgumentError(
            f"--floor: expected CHIP/IMAGE-TYPE/VERSION such as mt3620/17/3, got {text!a:.60}", remedy="Correct it."
        )
    return {"chip": parts[0], "image_type": int(parts[1]), "minimum": int(parts[2])}


Kind = Annotated[
    str,
    typer.Argument(
        metavar="KIND",
        help="notify, quarantine, revoke, halt, roll-back, raise-floor, re-attest or deploy-fix.",
        show_default=False,
    ),
]
DevicesOption = Annotated[
    list[str] | None, typer.Option("--devices", "-d", metavar="IDS", help="Devices, with commas or repeated.")
]
GroupOption = Annotated[
    str | None, typer.Option("--device-group", "-dg", metavar="PRODUCT/GROUP", help="All devices of a group.")
]
FindingTarget = Annotated[
    str | None,
    typer.Option("--finding", "-f", metavar="ID", help="What a finding is about: devices or a roll-out."),
    FINDING,
]
AdvisoryTarget = Annotated[
    str | None, typer.Option("--advisory", metavar="ID", help="What an advisory affects: devices or roll-outs.")
]
ImageTarget = Annotated[
    str | None, typer.Option("--image", metavar="ID", help="Devices that report an image, or its roll-outs.")
]
RolloutTarget = Annotated[str | None, typer.Option("--rollout", "-r", metavar="ID", help="A roll-out."), ROLLOUT]
FloorTarget = Annotated[
    str | None, typer.Option("--floor", metavar="CHIP/TYPE/VERSION", help="Of raise-floor: the lowest version.")
]
LastsOption = Annotated[
    str | None, typer.Option("--for", metavar="TIME", help="Of a quarantine: when it ends by itself, such as 7d.")
]
ChannelOption = Annotated[
    str | None, typer.Option("--channel", metavar="NAME", help="Of a notice: the only channel that hears it.")
]
MessageOption = Annotated[str | None, typer.Option("--message", metavar="TEXT", help="Of a notice: what is said.")]
RepairOption = Annotated[
    list[str] | None, typer.Option("--images", "-i", metavar="IDS", help="Of a fix: the images that repair.")
]
CohortsOption = Annotated[
    str | None, typer.Option("--cohorts", metavar="PERCENTS", help="Of a fix: its steps, such as 1,10,100.")
]
SoakOption = Annotated[
    str | None, typer.Option("--soak", metavar="TIME", help="Of a fix: how long each step is watched, such as 10m.")
]
Asked = Annotated[
    Any,
    Together(
        {
            "devices": (DevicesOption, None),
            "device_group": (GroupOption, None),
            "finding": (FindingTarget, None),
            "advisory": (AdvisoryTarget, None),
            "image": (ImageTarget, None),
            "rollout": (RolloutTarget, None),
            "floor": (FloorTarget, None),
            "lasts": (LastsOption, None),
            "channel": (ChannelOption, None),
            "message": (MessageOption, None),
            "images": (RepairOption, None),
            "cohorts": (CohortsOption, None),
            "soak": (SoakOption, None),
            "catalog": (CatalogOption, None),
        },
        lambda _remote, **given: given,
    ),
]


@remote_command(app, "preview")
def preview(remote: RemoteService, kind: Kind, asked: Asked) -> Shown:
    """Say what an action would do now.

    How many devices, and the first of them. Nothing is changed.
    """
    catalog, body = _request(remote, kind=kind, **asked)
    return _previewed(remote.post("/action-preview", {**body, "reason": "preview"}, catalog=catalog))


def _previewed(found: Mapping[str, Any]) -> Shown:
    words = [{"touches": each} for each in found["words"]]
    first = [{"device_id": each} for each in found["first"]]
    undo = found["undo"] and f"it cannot be undone: {found['undo']}"
    head = record(
        found, row=lambda each: {**readable_of(*PREVIEW_FACTS)(each), "undo": undo or "armillary action undo"}
    )
    return head.then(
        "", table(words, ("touches",), empty="It touches nothing."), table(first, ("device_id",), empty="No device.")
    )


@remote_command(app, "run")
def run(remote: RemoteService, kind: Kind, asked: Asked, reason: ReasonOption, yes: YesOption = False) -> Shown:
    """Do an action.

    At once, or after a second person agreed where it touches too many devices.
    """
    catalog, body = _request(remote, kind=kind, **asked)
    if not yes:
        found = remote.post("/action-preview", {**body, "reason": reason}, catalog=catalog)
        note(f"{kind} {found['does']}: {'; '.join(found['words'])}")
        confirm(f"Devices that this touches: {found['devices']}. Go on?", yes=yes)
    made = remote.post("/actions", {**body, "reason": reason}, catalog=catalog)
    if made["state"] == "waiting":
        note(f"it waits for a second person: armillary action approve --action {made['action_id']}")
    return record(made, row=readable_of(*FACTS))


@remote_command(app, "list")
def list_actions(
    remote: RemoteService,
    state: Annotated[
        str, typer.Option("--state", metavar="WORD", help="living (not ended), all, or one state such as waiting.")
    ] = "living",
    kind: Annotated[str | None, typer.Option("--kind", metavar="WORD", help="Only of a kind.")] = None,
    catalog: OnlyCatalogOption = None,
    sort: Annotated[
        str | None,
        typer.Option("--sort", metavar="WORD", help="kind, state, devices, asked_at...; falling with - before it."),
    ] = None,
    limit: LimitOption = None,
) -> Shown:
    """List actions, newest first."""
    wanted = None if state == "all" else state
    found = list(remote.pages("/actions", limit=limit, state=wanted, kind=kind, catalog=catalog, sort=sort))
    return table(found, COLUMNS, row=_listed, empty="No such action.")


def _listed(found: Mapping[str, Any]) -> dict[str, Any]:
    return with_short(readable_of(*COLUMNS)(found), "action_id")


@remote_command(app, "show")
def show(
    remote: RemoteService, action: ActionOption, catalog: OnlyCatalogOption = None, limit: LimitOption = None
) -> Shown:
    """Show an action, and where its devices stand."""
    path = f"/actions/{segment(action)}"
    found = remote.get(path, catalog=catalog)
    devices = list(remote.pages(f"{path}/devices", limit=limit or 20, catalog=catalog))
    return record({**found, "device_states": devices}, row=readable_of(*FACTS)).then(
        "", table(devices, DEVICE_COLUMNS, row=readable_of(*DEVICE_COLUMNS), empty="It is not about single devices.")
    )


@remote_command(app, "approve")
def approve(remote: RemoteService, action: ActionOption, catalog: OnlyCatalogOption = None) -> Shown:
    """Let an action go on that waits for a person.

    For a second one where it says so.
    """
    made = remote.post(f"/actions/{segment(action)}/approve", catalog=catalog)
    if made["state"] == "waiting":
        note("it touches more devices than one person alone may: it waits for a second person")
    return record(made, row=readable_of(*FACTS))


@remote_command(app, "cancel")
def cancel(remote: RemoteService, action: ActionOption, catalog: OnlyCatalogOption = None) -> Shown:
    """Stop an action; what it did stays until undone."""
    return record(remote.post(f"/actions/{segment(action)}/cancel", catalog=catalog), row=readable_of(*FACTS))


@remote_command(app, "undo")
def undo(remote: RemoteService, action: ActionOption, catalog: OnlyCatalogOption = None) -> Shown:
    """Undo what an action did, where its kind can be undone."""
    return record(remote.post(f"/actions/{segment(action)}/undo", catalog=catalog), row=readable_of(*FACTS))


@remote_command(app, "approval")
def approval(
    remote: RemoteService,
    catalog: CatalogOption = None,
    above: Annotated[
        int | None, typer.Option("--above", metavar="N", help="Beyond so many devices a second person is needed.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="TIME", help="When an action expires that nobody approves.")
    ] = None,
) -> Shown:
    """Show or set when actions need a second person."""
    place = in_catalog(remote, catalog, "action-approval")
    found = remote.get(place)
    if above is not None or expires is not None:
        body = {
            "second_person_above": found["second_person_above"] if above is None else above,
            "expires_after_s": found["expires_after_s"] if expires is None else seconds_of(expires),
        }
        found = remote.put(place, body)
    return record(found, row=readable_of("second_person_above", "expires_after_s", "changed_at", "changed_by"))

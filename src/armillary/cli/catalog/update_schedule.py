# SPDX-License-Identifier: Apache-2.0
"""Verbs of ``armillary device-group`` for when its devices look for updates and install them; check now."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from armillary.cli.terminal.output import Shown, noun, record
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.remote_names import CatalogOption, ProductOption, ReasonOption, in_catalog
from armillary.cli.terminal.times import seconds_of
from armillary.cli.terminal.together import Together

verbs = noun()

USUAL = "usual"
ANY_TIME = "any"


def _group(remote: RemoteService, *, catalog: str | None, product: str, device_group: str) -> str:
    return in_catalog(remote, catalog, "products", product, "device-groups", device_group)


def _path(remote: RemoteService, *, catalog: str | None, product: str, device_group: str) -> str:
    return f"{_group(remote, catalog=catalog, product=product, device_group=device_group)}/update-schedule"


NameOption = Annotated[str, typer.Option("--device-group", "-dg", "--name", "-n", metavar="NAME", help="Device group.")]
_OPTIONS: Final = {"catalog": (CatalogOption, None), "product": (ProductOption, ...), "device_group": (NameOption, ...)}
# The paths of a group, and of its schedule.
GroupPath = Annotated[str, Together(_OPTIONS, _group)]
SchedulePath = Annotated[str, Together(_OPTIONS, _path)]


@remote_command(verbs, "show-schedule")
def show(remote: RemoteService, path: SchedulePath) -> Shown:
    """Show when devices of a group update."""
    return record(remote.get(path), row=_row)


@remote_command(verbs, "set-schedule")
def put(
    remote: RemoteService,
    path: SchedulePath,
    check_every: Annotated[
        str | None,
        typer.Option("--check-every", metavar="TIME", help=f"Such as 4h; {USUAL} for the service's setting."),
    ] = None,
    window: Annotated[
        list[str] | None,
        typer.Option(
            "--window", "-w", metavar="TEXT", help=f"Such as 'Mon-Fri 01:00-05:00', repeatable; {ANY_TIME}: no window."
        ),
    ] = None,
    zone: Annotated[
        str | None, typer.Option("--zone", metavar="NAME", help="Time zone of the windows, such as Europe/Berlin.")
    ] = None,
    defer: Annotated[
        str | None,
        typer.Option("--defer", metavar="TIME", help="How long applications may put off an update, such as 24h; 0."),
    ] = None,
) -> Shown:
    """Set when devices of a group update.

    What is not named stays as it is. Each device hears of it at its next check-in.
    """
    now = remote.get(path)
    body: dict[str, Any] = {name: now[name] for name in ("check_interval_s", "zone", "windows", "max_deferral_s")}
    if check_every is not None:
        body["check_interval_s"] = None if check_every == USUAL else seconds_of(check_every, "--check-every")
    if window is not None:
        body["windows"] = [] if window == [ANY_TIME] else window
    if zone is not None:
        body["zone"] = zone
    if defer is not None:
        body["max_deferral_s"] = 0 if defer == "0" else seconds_of(defer, "--defer")
    return record(remote.put(path, body), row=_row)


@remote_command(verbs, "set-urgent")
def urge(
    remote: RemoteService,
    path: SchedulePath,
    reason: ReasonOption,
    lasting: Annotated[str, typer.Option("--for", metavar="TIME", help="How long that holds, such as 24h.")] = "24h",
) -> Shown:
    """Have devices of a group update at once.

    In no maintenance window, and whatever applications say. It ends by itself.
    """
    body = {"reason": reason, "lifetime_s": seconds_of(lasting, "--for")}
    return record(remote.post(f"{path}/urgent", body), row=_row)


@remote_command(verbs, "end-urgency")
def end_urgency(remote: RemoteService, path: SchedulePath) -> Shown:
    """Have maintenance windows and deferrals hold again."""
    remote.delete(f"{path}/urgent")
    return record(remote.get(path), row=_row)


@remote_command(verbs, "set-country")
def set_country(
    remote: RemoteService,
    path: GroupPath,
    country: Annotated[str, typer.Option("--country", metavar="CC", help="Two letters such as DE; empty: not said.")],
) -> Shown:
    """Say in which country devices of a group are."""
    return record(remote.put(f"{path}/country", {"country": country}))


@remote_command(verbs, "check-now")
def check_now(remote: RemoteService, path: GroupPath) -> Shown:
    """Have every device of a group check in at once.

    Those that wait for a hint come within seconds; the others hear of it when they next ask for a hint.
    """
    found = remote.post(f"{path}/check-now", {})
    return record(found).then("asked; look at one: armillary device update-status")


def _row(schedule: dict[str, Any]) -> dict[str, Any]:
    interval = schedule["check_interval_s"]
    row = {
        "check_every": "the service's setting" if interval is None else f"{interval} s",
        "windows": "; ".join(schedule["windows"]) or "at any time",
        "zone": schedule["zone"],
        "applications_may_defer": f"{schedule['max_deferral_s']} s",
    }
    if schedule["urgent_until"] is not None:
        ends = readable({"urgent_until_at": schedule["urgent_until"]})["urgent_until_at"]
        row["urgent"] = f"until {ends}: {schedule['urgent_reason']}"
    return row

# SPDX-License-Identifier: Apache-2.0
"""``armillary advisory``: what is known to be vulnerable, and which images and devices it affects."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from armillary.cli.security import advisory_state
from armillary.cli.terminal.device_reference import AnyDeviceOption
from armillary.cli.terminal.output import Shown, noun, record, table
from armillary.cli.terminal.readable import readable, readable_of
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import LimitOption, OnlyCatalogOption
from armillary.cli.terminal.times import moment
from armillary.errors import InvalidArgumentError

app = noun("Advisories: what is vulnerable, and who is affected.")
app.add_typer(advisory_state.app, name="state")

COLUMNS = ("advisory_id", "exploited_since", "epss", "cvss", "severity", "devices", "stale", "summary")
DEVICES = ("device_id", "catalog", "product", "group", "country", "os_version", "last_check_in_at")
COVERAGE = ("kind", "name", "state", "components", "not_assessed", "as_of", "id")
FACTS = (
    "advisory_id", "aliases", "summary", "exploited_since", "exploited_due_at", "exploitation_known", "epss",
    "epss_as_of", "cvss", "severity", "stale", "devices", "catalogs", "countries", "member_states", "known_since",
    "patched_percent", "as_of",
)  # fmt: skip
OF_DEVICE = ("advisory_id", "device_id", "state", "as_of", "attested", "since", "until")
SOFTWARE = ("kind", "name", "state", "components", "reason")
THEN = ("feed", "kind", "edition", "as_of", "in_force_since", "stale", "names_it")
ARTIFACTS = ("kind", "name", "state", "components", "reason", "id")

State = Literal["affected", "under-investigation", "unknown", "fixed", "not-affected"]
AsOfOption = Annotated[
    str | None,
    typer.Option("--as-of", metavar="TIME", help="As the service would have answered then: 2026-11-21, or a time."),
]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id or alias, such as CVE-2026-1234.")]


@remote_command(app, "list")
def list_advisories(
    remote: RemoteService,
    catalog: OnlyCatalogOption = None,
    in_field: Annotated[bool, typer.Option("--in-field", help="Only those that affect devices.")] = False,
    limit: LimitOption = None,
) -> Shown:
    """List what affects images or releases, the most urgent first."""
    wanted = "true" if in_field else None
    found, page = remote.listed("/advisories", limit=limit, catalog=catalog, in_field=wanted)
    empty = "No advisory is known to affect an image or release. What that is worth: armillary advisory coverage."
    return with_basis(table(found, COLUMNS, row=readable_of(*COLUMNS), empty=empty), page)


@remote_command(app, "show")
def show(
    remote: RemoteService, advisory: IdArgument, catalog: OnlyCatalogOption = None, as_of: AsOfOption = None
) -> Shown:
    """Show how urgent it is, what it affects, how much is repaired.

    With --as-of by the feeds, bills of materials and statements that were in force then.
    """
    found = remote.get(f"/advisories/{segment(advisory)}", catalog=catalog, as_of=_time(as_of))
    return shown(found)


@remote_command(app, "affected")
def affected(
    remote: RemoteService,
    advisory: IdArgument,
    catalog: OnlyCatalogOption = None,
    state: Annotated[State | None, typer.Option("--state", help="How they stand to it; affected by default.")] = None,
    device: AnyDeviceOption = None,
    as_of: AsOfOption = None,
    limit: LimitOption = None,
) -> Shown:
    """List the devices that run what an advisory affects.

    With --device say of one device how it stands, or stood with --as-of, and which records, bills and feeds say so.
    """
    if device is not None:
        if catalog is not None or state is not None or limit is not None:
            raise InvalidArgumentError(
                "--device is asked alone, or with --as-of", remedy="Leave --catalog, --state and --limit out."
            )
        path = f"/devices/{segment(device)}/advisories/{segment(advisory)}"
        return _of_device(remote.get(path, as_of=_time(as_of)))
    if as_of is not None:
        raise InvalidArgumentError(
            "--as-of of a list needs --device",
            remedy="Name the device; how many there were: armillary advisory show --as-of.",
        )
    path = f"/advisories/{segment(advisory)}/devices"
    found, page = remote.listed(path, limit=limit, catalog=catalog, state=state or "affected")
    return with_basis(table(found, DEVICES, row=readable_of(*DEVICES), empty="No device is known to."), page)


@remote_command(app, "coverage")
def coverage(remote: RemoteService, catalog: OnlyCatalogOption = None) -> Shown:
    """List what can be said of each image and release.

    The best that there is is none-known.
    """
    found = remote.get("/advisory-coverage", catalog=catalog)["items"]
    return table(found, COVERAGE, row=readable_of(*COVERAGE), empty="There is no image.")


def _time(as_of: str | None) -> int | None:
    return None if as_of is None else moment("--as-of", as_of)


def _of_device(found: dict[str, Any]) -> Shown:
    """A device for people: how it stands and why, what it ran, and by which editions of feeds."""
    facts = {name: found[name] for name in OF_DEVICE}
    told = record(found, row=lambda _: readable(facts)).then("", *found["reasons"], "")
    software = table(found["software"], SOFTWARE, empty="What it ran is not known.")
    feeds = table(found["feeds"], THEN, row=readable_of(*THEN), empty="No feed was in force.")
    return told.then(software, "", feeds)


def shown(found: dict[str, Any]) -> Shown:
    """An advisory for people: its facts, then what it affects or may affect."""
    facts = {name: found[name] for name in FACTS}
    told = record(found, row=lambda _: readable(facts)).then("", table(found["artifacts"], ARTIFACTS, empty=""))
    return with_basis(told, found)


def with_basis(told: Shown, found: dict[str, Any]) -> Shown:
    """What the answer rests on, behind it, wherever that is less than everything."""
    basis = found["basis"]
    taken_in, lines = basis["taken_in"], []
    if not basis["feeds"]:
        lines.append("No feed was imported: what is vulnerable is unknown. armillary advisory-feed import --file FILE")
    if basis["stale"]:
        lines.append(f"Stale, so that what they do not name is unknown: {', '.join(basis['stale'])}")
    if not taken_in["whole"]:
        lines.append(f"Of {taken_in['compared']} of {taken_in['devices']} devices it is known yet what they run.")
    return told.then("", *lines) if lines else told

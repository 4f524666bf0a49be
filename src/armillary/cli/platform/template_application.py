# SPDX-License-Identifier: Apache-2.0
"""``armillary template catalog|use|unuse``: application templates, which make applications of simulated devices."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from armillary.cli.terminal.output import Shown, note, noun, only, record, table
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import YesOption, confirm

PATH = "/application-templates"
COLUMNS = ("name", "sector", "in_use", "line")
SHOWN = ("name", "title", "state", "catalog", "product", "devices_live", "dashboards", "rules", "trust_tier")
# How long ``use`` waits for the first values of every device (seconds), and how often it looks.
MEASURING_S = 20.0
LOOK_S = 0.2

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Application template: see template catalog.")]


verbs = noun()


@remote_command(verbs, "catalog")
def _catalog(remote: RemoteService) -> Shown:
    """List the application templates that are shipped."""
    return table(remote.get(PATH)["items"], COLUMNS, row=_row, empty="No application template is shipped.")


@remote_command(verbs, "use")
def _use(
    remote: RemoteService,
    name: NameArgument,
    devices: Annotated[
        int | None,
        typer.Option("--devices", min=1, max=1000, metavar="N", help="Simulated devices, over all kinds of them."),
    ] = None,
    catalog: Annotated[
        str | None,
        typer.Option("--catalog", "-c", metavar="NAME", help="Who owns them; Simulated by default, made if missing."),
    ] = None,
) -> Shown:
    """Make a running application of a template.

    It has simulated devices with live data, dashboards, rules, jobs and groups.

    The devices are simulated, and their trust tier, tags and every message say so. Called again, it completes what is
    missing; with another number of devices some are made or taken out of service.
    """
    began = time.monotonic()
    found = remote.post(f"{PATH}/{segment(name)}/use", {"devices": devices, "catalog": catalog})
    total = len(found["devices"])
    note(f"{total} simulated device{'s' if total != 1 else ''} of {found['title']} in catalog {found['catalog']}")
    while found["devices_measuring"] < found["devices_live"] and time.monotonic() - began < MEASURING_S:
        time.sleep(LOOK_S)
        found = remote.get(f"{PATH}/{segment(name)}")
    note(f"{found['devices_measuring']} of {total} send values, after {time.monotonic() - began:.1f} s")
    if found["state"] != "running":
        note(f"{found['state']}; rules and jobs begin after it")
    dashboards = [each["id"] for each in found["documents"] if each["kind"] == "dashboard"]
    place = f"dashboards/{segment(dashboards[0])}" if dashboards else ""
    return record(found, row=_application_row).then(f"Look at it: {remote.address}/{place}")


@remote_command(verbs, "unuse")
def _unuse(remote: RemoteService, name: NameArgument, yes: YesOption = False) -> Shown:
    """Take away what using a template made.

    Its devices go out of service, its documents are deleted.
    """
    confirm(f"Delete the documents of {name} and take its simulated devices out of service?", yes=yes)
    return record(remote.post(f"{PATH}/{segment(name)}/unuse"))


def _row(template: dict[str, Any]) -> dict[str, Any]:
    return {**template, "in_use": "yes" if template["in_use"] else ""}


def _application_row(found: dict[str, Any]) -> Mapping[str, Any]:
    return only(*SHOWN)({**found, "dashboards": _ids(found, "dashboard"), "rules": _ids(found, "rule")})


def _ids(found: dict[str, Any], kind: str) -> str:
    return ", ".join(each["id"] for each in found["documents"] if each["kind"] == kind)

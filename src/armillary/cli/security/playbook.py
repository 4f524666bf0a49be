# SPDX-License-Identifier: Apache-2.0
"""``armillary playbook``: what is done about findings by itself, and what is only proposed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.terminal.files import read_file
from armillary.cli.terminal.output import Shown, note, noun, record, table
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import OnlyCatalogOption
from armillary.errors import InvalidArgumentError

app = noun("Playbooks: what is done about findings by itself, and what is proposed.")

COLUMNS = ("name", "is_enabled", "about", "does", "title", "source")
STEP_COLUMNS = ("kind", "mode", "ends_after_s", "expires_after_s")
MAX_BYTES = 200_000

NameArgument = Annotated[str, typer.Option("--playbook", "-p", metavar="ID", help="Its id, as playbook list has it.")]


@remote_command(app, "list")
def list_playbooks(remote: RemoteService, catalog: OnlyCatalogOption = None) -> Shown:
    """List playbooks, and whether each is used."""
    found = remote.get("/playbooks", catalog=catalog)
    if found["fault"]:
        note(f"a file was not taken: {found['fault']}")
    return table(found["items"], COLUMNS, row=_row, empty="There are no playbooks.")


@remote_command(app, "show")
def show(remote: RemoteService, playbook: NameArgument, catalog: OnlyCatalogOption = None) -> Shown:
    """Show a playbook: what it does, and what about."""
    return _whole(remote.get(f"/playbooks/{segment(playbook)}", catalog=catalog))


@remote_command(app, "check")
def check(
    remote: RemoteService,
    file: Annotated[Path, typer.Option("--file", metavar="FILE", help="Playbooks in YAML.")],
) -> Shown:
    """Check a file of playbooks; nothing is kept.

    What is wrong is named with its line.

    To use your own, put the file into the folder playbooks of the service's data folder.
    """
    try:
        text = read_file(file, limit=MAX_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"{file}: expected text in UTF-8, got bytes that are none") from error
    found = remote.post("/playbook-check", {"text": text})["items"]
    return table(found, ("name", "about", "does", "title"), row=_row, empty="There is none in it.")


@remote_command(app, "enable")
def enable(remote: RemoteService, playbook: NameArgument, catalog: OnlyCatalogOption = None) -> Shown:
    """Use a playbook.

    For a catalog, or wherever no catalog says anything else.
    """
    return _whole(remote.post(f"/playbooks/{segment(playbook)}/enable", catalog=catalog))


@remote_command(app, "disable")
def disable(remote: RemoteService, playbook: NameArgument, catalog: OnlyCatalogOption = None) -> Shown:
    """Use a playbook no more."""
    return _whole(remote.post(f"/playbooks/{segment(playbook)}/disable", catalog=catalog))


def _row(found: Mapping[str, Any]) -> dict[str, Any]:
    steps = ", ".join(f"{each['kind']}{'' if each['is_automatic'] else ' (proposed)'}" for each in found["steps"])
    return {**found, "about": f"{', '.join(found['kinds'])} from {found['severity']}", "does": steps}


def _whole(found: Mapping[str, Any]) -> Shown:
    steps = [{**each, "mode": "automatic" if each["is_automatic"] else "proposed"} for each in found["steps"]]
    facts = ("name", "title", "is_enabled", "source", "description", "about")
    head = record(found, row=lambda each: {name: _row(each)[name] for name in facts})
    return head.then("", table(steps, STEP_COLUMNS, empty="It does nothing."))

# SPDX-License-Identifier: Apache-2.0
"""Verbs of ``armillary device-group`` for the crash dumps that a group collects."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from armillary.cli.catalog.update_schedule import GroupPath
from armillary.cli.terminal.output import Shown, note, noun, record
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.remote_names import YesOption, confirm

verbs = noun()

Stacks = Literal["scrubbed", "full"]


@remote_command(verbs, "show-crash-dumps")
def show(remote: RemoteService, path: GroupPath) -> Shown:
    """Show how crash dumps are collected, and how many."""
    return record(remote.get(f"{path}/crash-dumps"))


@remote_command(verbs, "set-crash-dumps")
def put(
    remote: RemoteService,
    path: GroupPath,
    collect: Annotated[bool | None, typer.Option("--on/--off", help="Whether devices may send any.")] = None,
    stacks: Annotated[
        Stacks | None,
        typer.Option("--stacks", help="scrubbed: pointers alone; full: what applications worked on, too."),
    ] = None,
    days: Annotated[int | None, typer.Option("--days", min=1, metavar="N", help="How long they are kept.")] = None,
) -> Shown:
    """Set what crash dumps a group collects.

    What is not named stays as it is. Each device hears of it at its next check-in; off deletes what waits on it.
    """
    given = {"is_on": collect, "stacks": stacks, "days": days}
    return record(
        remote.put(f"{path}/crash-dumps", {name: value for name, value in given.items() if value is not None})
    )


@remote_command(verbs, "erase-crash-dumps")
def erase(remote: RemoteService, path: GroupPath, yes: YesOption = False) -> None:
    """Delete all crash dumps of a group, and their key.

    Copies of the database hold nothing then that could be opened. Backups of the keys folder do: delete those, too.
    """
    confirm("Delete all crash dumps of this group, and their key?", yes=yes)
    erased = remote.delete(f"{path}/crash-dumps")
    note(f"{erased['erased']} crash dumps are erased")

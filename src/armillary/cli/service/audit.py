# SPDX-License-Identifier: Apache-2.0
"""``armillary audit``: the audit log, and whether its hash chain is intact."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from armillary.cli.terminal.output import Shown, noun, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command

app = noun("The audit log: list and verify.")

COLUMNS = ("number", "at", "actor", "operation", "target")


@remote_command(app, "list")
def list_lines(
    remote: RemoteService,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Print at most so many.")] = 50,
    target: Annotated[str | None, typer.Option("--target", metavar="ID", help="Only what was done to this.")] = None,
) -> Shown:
    """List audit lines, newest first."""
    lines = remote.pages("/audit", limit=limit, target=target)
    empty = "The audit log is empty." if target is None else "The audit log has no line of it."
    return table(lines, COLUMNS, row=readable, empty=empty)


@remote_command(app, "verify")
def verify(remote: RemoteService) -> Shown:
    """Walk the whole hash chain; exit 1 when it is broken."""
    found = remote.get("/audit/verification")
    return replace(record(found), exit_code=0 if found["broken_at"] is None else 1)

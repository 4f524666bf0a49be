# SPDX-License-Identifier: Apache-2.0
"""``armillary alert``: firings of rules, looked for, shown with what was done about them, acknowledged."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

import typer

from armillary.cli.terminal.authored import CatalogOption
from armillary.cli.terminal.device_reference import AnyDeviceOption, device_row
from armillary.cli.terminal.output import Shown, note, noun, record, table
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.remote_names import YesOption, confirm
from armillary.cli.terminal.times import moment, seconds_of, utc_text

app = noun("Firings of rules: list, show, acknowledge.")

COLUMNS = ("number", "fired", "severity", "rule_id", "name", "device_id", "state", "why")

State = Literal["open", "active", "cleared", "acknowledged", "all"]
AlertOption = Annotated[int, typer.Option("--alert", metavar="NUMBER", min=1, help="Number of the alert.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Print at most so many.")]
RuleOption = Annotated[str | None, typer.Option("--rule", "-r", metavar="ID", help="Only of a rule.")]
GroupOption = Annotated[
    str | None, typer.Option("--segment", "--group", "-g", metavar="ID", help="Only of a segment's devices.")
]
SeverityOption = Annotated[
    list[str] | None,
    typer.Option("--severity", metavar="WORD", help="Only of it: info, low, medium, high, critical; repeatable."),
]
LastOption = Annotated[
    str | None, typer.Option("--last", metavar="TIME", help="Fired within so much time until now, such as 24h.")
]
StartOption = Annotated[str | None, typer.Option("--start", metavar="TIME", help="Or fired at or after.")]
EndOption = Annotated[str | None, typer.Option("--end", metavar="TIME", help="And before.")]


@remote_command(app, "list")
def list_alerts(
    remote: RemoteService,
    status: Annotated[State, typer.Option("--status", help="active: conditions still met; cleared: no more.")] = "open",
    severity: SeverityOption = None,
    rule: RuleOption = None,
    device: AnyDeviceOption = None,
    group: GroupOption = None,
    last: LastOption = None,
    start: StartOption = None,
    end: EndOption = None,
    limit: LimitOption = 100,
    catalog: CatalogOption = None,
) -> Shown:
    """List firings of rules, newest first.

    Open are those that nobody has acknowledged.
    """
    wanted = {**_filter(severity, rule, device, group), **_times(last, start, end)}
    found = remote.pages("/alerts", limit=limit, status=status, catalog=catalog, **wanted)
    return table(found, COLUMNS, row=_alert, empty="No such alert.")


@remote_command(app, "show")
def show(remote: RemoteService, number: AlertOption, catalog: CatalogOption = None) -> Shown:
    """Show a firing: why, and what was done about it."""
    found = remote.get(f"/alerts/{number}", catalog=catalog)
    done = [f"{each['action']} ({each['kind']}): {_outcome(each)}" for each in found["deliveries"]]
    return record(found, row=lambda alert: {**_firing(alert), "actions": done})


@remote_command(app, "acknowledge")
def acknowledge(
    remote: RemoteService,
    numbers: Annotated[
        list[int] | None, typer.Option("--alert", metavar="NUMBER", min=1, help="Which; repeatable.")
    ] = None,
    note_text: Annotated[
        str, typer.Option("--note", metavar="TEXT", help="What you say about it; kept with the alert.")
    ] = "",
    severity: SeverityOption = None,
    rule: RuleOption = None,
    device: AnyDeviceOption = None,
    group: GroupOption = None,
    last: LastOption = None,
    start: StartOption = None,
    end: EndOption = None,
    catalog: CatalogOption = None,
    yes: YesOption = False,
) -> Shown | None:
    """Acknowledge firings: named ones, or all that match.

    Without `--alert` it counts the open alerts that match the other options, asks, and acknowledges just those.
    """
    if numbers and len(numbers) == 1:
        made = remote.post(f"/alerts/{numbers[0]}/acknowledge", {"note": note_text}, catalog=catalog)
        return record(made, row=_firing)
    body: dict[str, Any] = {"note": note_text}
    if numbers:
        body["numbers"] = numbers
    else:
        wanted = {**_filter(severity, rule, device, group), **_times(last, start, end)}
        found = list(remote.pages("/alerts", status="open", catalog=catalog, **wanted))
        if not found:
            note("No open alert matches.")
            return None
        confirm(f"Acknowledge {len(found)} open alert{'' if len(found) == 1 else 's'}?", yes=yes)
        body |= {**wanted, "count": len(found), "up_to": found[0]["number"]}
    made = remote.post("/alerts/acknowledge", body, catalog=catalog)
    return record(made)


def _filter(severity: list[str] | None, rule: str | None, device: str | None, group: str | None) -> dict[str, Any]:
    given = {"severity": severity, "rule": rule, "device": device, "group": group}
    return {name: value for name, value in given.items() if value}


def _times(last: str | None, start: str | None, end: str | None) -> dict[str, int]:
    """The range of the options, Unix milliseconds. Raises typer.BadParameter for --last with --start."""
    if last is not None and start is not None:
        raise typer.BadParameter("give either --last or --start")
    found = {}
    if last is not None:
        found["since_ms"] = (int(time.time()) - seconds_of(last, "--last")) * 1000
    if start is not None:
        found["since_ms"] = moment("--start", start) * 1000
    if end is not None:
        found["until_ms"] = moment("--end", end) * 1000
    return found


def _alert(found: dict[str, Any]) -> dict[str, Any]:
    state = "cleared" if found["over_ms"] else "active"
    return {
        **device_row(found),
        "fired": utc_text(found["fired_ms"]),
        "state": state + (", acknowledged" if found["acknowledged_ms"] else ""),
        "why": found["reason"] or found["trace"].get("why"),
    }


def _firing(found: dict[str, Any]) -> dict[str, Any]:
    """An alert by itself, as people read it."""
    row, by = _alert(found), found["acknowledged_by"]
    taken = f"by {by} at {utc_text(found['acknowledged_ms'])}" if found["acknowledged_ms"] else "no"
    return {
        "number": row["number"],
        "rule": f"{found['rule_name']} ({found['rule_id']})",
        "severity": row["severity"],
        "device": f"{found['device_name']} ({row['device_id']})" if found.get("device_name") else row["device_id"],
        "why": found["summary"] or row["why"],
        "fired": row["fired"],
        "cleared": utc_text(found["over_ms"]) if found["over_ms"] else "not yet",
        "acknowledged": taken + (f": {found['note']}" if found["note"] else ""),
    }


def _outcome(delivery: dict[str, Any]) -> str:
    said = str(delivery["state"]) + (f" after {delivery['attempts']} attempts" if delivery["attempts"] > 1 else "")
    return said + (f": {delivery['error']}" if delivery["error"] else "")

# SPDX-License-Identifier: Apache-2.0
"""``armillary rule``: rules over telemetry and properties, traces of their evaluation, actions that were given up."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer

from armillary.cli.terminal import authored
from armillary.cli.terminal.authored import CatalogOption, FileOption, IdOption, NameOption
from armillary.cli.terminal.device_reference import REFERENCE, DeviceOption, device_row, short_id
from armillary.cli.terminal.output import (
    Shown,
    note,
    noun,
    record,
    table,
)
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import YesOption, confirm
from armillary.cli.terminal.times import moment, seconds_of, utc_text

app = noun("Rules over what devices say, their traces and actions.")

COLUMNS = ("id", "name", "catalog", "severity", "enabled", "conditions", "actions")
TRACE_COLUMNS = ("when", "outcome", "why")
LETTER_COLUMNS = ("number", "action", "kind", "target", "attempts", "error")

RuleOption = Annotated[str, typer.Option("--rule", "-r", metavar="ID", help="Rule id.")]
RULES = authored.Documents(app, "/rules", RuleOption)
LimitOption = Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Print at most so many.")]


def _row(document: dict[str, Any]) -> dict[str, Any]:
    body = document["body"]
    return {
        "id": document["id"],
        "name": body.get("name"),
        "catalog": body.get("catalog"),
        "severity": body.get("severity", "medium"),
        "enabled": body.get("enabled", True),
        "conditions": document["conditions"],
        "actions": [each.get("kind") for each in body.get("actions", [])],
    }


@remote_command(app, "create")
def create(
    remote: RemoteService,
    name: NameOption = None,
    document_id: IdOption = None,
    when: Annotated[
        list[str] | None,
        typer.Option("--when", "-w", metavar="CONDITION", help="Such as 'Flow > 40'; repeatable, all have to be met."),
    ] = None,
    silent: Annotated[
        str | None, typer.Option("--silent", metavar="TIME", help="Met when nothing came for so long, such as 10m.")
    ] = None,
    template: Annotated[str | None, typer.Option("--template", metavar="ID", help="Device template.")] = None,
    severity: Annotated[
        str, typer.Option("--severity", metavar="WORD", help="info, low, medium, high or critical.")
    ] = "medium",
    to: Annotated[
        list[str] | None, typer.Option("--email", metavar="ADDRESS", help="Who gets an e-mail; repeatable.")
    ] = None,
    file: FileOption = None,
    catalog: CatalogOption = None,
    replace: authored.ReplaceOption = False,
) -> Shown:
    """Make a rule.

    Everything that a rule can say is in docs/concepts/rules.md.
    """
    if (name is None) == (file is None):
        raise typer.BadParameter("give either --name with --when or --silent, or --file")
    if file is not None:
        body = authored.read_definition(file)
    else:
        conditions: list[dict[str, Any]] = [condition_of(each) for each in when or []]
        if silent is not None:
            conditions.append({"silent_s": seconds_of(silent, "--silent")})
        body = {
            "name": name,
            "severity": severity,
            "target": {"template": template} if template else {},
            "conditions": conditions,
            "actions": [{"kind": "email", "to": to}] if to else [],
        }
    made = RULES.put(remote, document_id, body, catalog, replace=replace)
    for warning in [*made["warnings"], *made["unreachable"]]:
        note(f"warning: {warning}")
    return record(made, row=_row)


RULES.add_list("List rules.", COLUMNS, row=_row, empty="There is no rule; make one: armillary rule create.")


RULES.add_show("Show a rule; its secrets are never shown.")


@remote_command(app, "enable")
def enable(remote: RemoteService, rule: RuleOption, catalog: CatalogOption = None) -> Shown:
    """Have a rule evaluated, from the next message on."""
    return record(remote.post(RULES.place(rule) + "/enable", catalog=catalog), row=_row)


@remote_command(app, "disable")
def disable(remote: RemoteService, rule: RuleOption, catalog: CatalogOption = None) -> Shown:
    """Have a rule evaluated no longer."""
    return record(remote.post(RULES.place(rule) + "/disable", catalog=catalog), row=_row)


RULES.add_delete("Delete a rule; its alerts stay.")


@remote_command(app, "test")
def try_rule(
    remote: RemoteService,
    rule: Annotated[str | None, typer.Option("--rule", "-r", metavar="ID", help="A rule that is kept.")] = None,
    file: FileOption = None,
    last: Annotated[
        str | None, typer.Option("--last", metavar="TIME", help="On so much of the past until now, such as 7d.")
    ] = None,
    start: Annotated[str | None, typer.Option("--start", metavar="TIME", help="Or from here: a date or time.")] = None,
    end: Annotated[str, typer.Option("--end", metavar="TIME", help="Until here.")] = "now",
    devices: Annotated[
        list[str] | None,
        typer.Option("--device", "-d", metavar="DEVICE", help="Only on this device; repeatable."),
        REFERENCE,
    ] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Print the last evaluations of each device as well.")] = False,
    catalog: CatalogOption = None,
) -> Shown:
    """Try a rule on stored values, before it is enabled.

    Prints when it would have fired, and why. Nothing is kept and nothing is done.
    """
    if (rule is None) == (file is None):
        raise typer.BadParameter("give either --rule or --file")
    if (last is None) == (start is None):
        raise typer.BadParameter("give either --last or --start")
    until_s = moment("--end", end)
    from_s = until_s - seconds_of(last, "--last") if last is not None else moment("--start", str(start))
    body: dict[str, Any] = {"devices": devices or [], "start_ms": from_s * 1000, "end_ms": until_s * 1000}
    if file is not None:
        body["rule"] = authored.read_definition(file)
    note("trying the rule on stored values ...")
    begun = time.monotonic()
    path = "/rule-test" if rule is None else RULES.place(rule) + "/test"
    found = remote.post(path, body, catalog=catalog)
    rows = [
        {**device_row(each), "when": utc_text(entry["now_ms"]), "why": entry["summary"] or entry["why"]}
        for each in found["devices"]
        for entry in each["fired"]
    ]
    of_devices: list[str | Shown] = []
    for each in found["devices"]:
        if each["unconcerned"]:
            of_devices.append(f"{short_id(each['device_id'])}: {each['unconcerned']}")
        elif trace:
            seen = f"{each['messages']} messages, {each['evaluations']} evaluations"
            of_devices.append(f"{short_id(each['device_id'])}: {seen}; the last:")
            of_devices.append(table(_traced(each["last"]), TRACE_COLUMNS, empty="none"))
    evaluations = sum(each["evaluations"] for each in found["devices"])
    summary = (
        f"{found['firings']} firings in {evaluations} evaluations on {len(found['devices'])} devices,"
        f" {time.monotonic() - begun:.1f} s"
    )
    if found["is_cut"]:
        summary += "; there was more to look at: name devices, or take less time"
    fired = table(rows, ("name", "device_id", "when", "why"), empty="It would not have fired.")
    warnings = [f"warning: {each}" for each in found["warnings"]]
    return Shown(found).then(fired, *of_devices, *warnings, summary)


@remote_command(app, "trace")
def trace(remote: RemoteService, rule: RuleOption, device: DeviceOption) -> Shown:
    """Say why a rule fired or did not for a device."""
    found = remote.get(f"{RULES.place(rule)}/trace/{segment(device)}")
    empty = "It was not evaluated for this device since the hub's start; armillary rule test tries it on stored values."
    return Shown(found).then(
        f"The rule does not look at this device: {found['unconcerned']}." if found["unconcerned"] else None,
        table(_traced(found["items"]), TRACE_COLUMNS, empty=empty),
    )


@remote_command(app, "dead-letters")
def dead_letters(remote: RemoteService, limit: LimitOption = 100, catalog: CatalogOption = None) -> Shown:
    """List actions that were given up, newest first."""
    found = remote.pages("/dead-letters", limit=limit, catalog=catalog)
    return table(found, LETTER_COLUMNS, empty="No action was given up.")


@remote_command(app, "replay")
def replay(
    remote: RemoteService,
    numbers: Annotated[
        list[int] | None, typer.Option("--letter", metavar="NUMBER", min=1, help="Which; repeatable. All by default.")
    ] = None,
    catalog: CatalogOption = None,
    yes: YesOption = False,
) -> None:
    """Try actions again that were given up."""
    if not numbers:
        numbers = [each["number"] for each in remote.pages("/dead-letters", limit=1000, catalog=catalog)]
        if not numbers:
            note("No action was given up.")
            return
        confirm(f"Try {len(numbers)} actions again?", yes=yes)
    found = remote.post("/dead-letters/replay", {"numbers": numbers}, catalog=catalog)
    note(f"{found['replayed']} of {len(numbers)} are tried again")


def condition_of(text: str) -> dict[str, Any]:
    """A condition as written on a command line: a name, a sign and a value.

    A name with ``reported.``, ``desired.``, ``tags.`` or ``cloud.`` before it is a property.
    """
    for sign in (">=", "<=", "!=", "==", ">", "<", "="):
        name, found, value = text.partition(sign)
        if found and name.strip() and value.strip():
            name = name.strip()
            is_property = name.partition(".")[0] in ("reported", "desired", "tags", "cloud")
            try:
                constant = json.loads(value)
            except ValueError:
                constant = value.strip()
            return {
                ("property" if is_property else "telemetry"): name,
                "op": "==" if sign == "=" else sign,
                "value": constant,
            }
    raise typer.BadParameter(f"--when: expected a name, one of > >= < <= = != and a value, got {text!r:.60}")


def _traced(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**each, "when": utc_text(each["now_ms"]), "why": each["summary"] or each["why"]} for each in items]

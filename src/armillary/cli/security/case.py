# SPDX-License-Identifier: Apache-2.0
"""``armillary case``: what must be reported to authorities, by when, and the drafts."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from armillary.cli.terminal.files import write_file
from armillary.cli.terminal.output import Shown, inert, noun, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import (
    LimitOption,
    OnlyCatalogOption,
    OnlyProductOption,
    catalog_name,
)
from armillary.cli.terminal.short_ids import CASE, FINDING, with_short
from armillary.cli.terminal.times import moment
from armillary.errors import InvalidArgumentError

app = noun("Cases: what must be reported to authorities, by when, and the drafts.")

COLUMNS = ("case_id", "state", "kind", "next_stage", "next_due_at", "remaining", "catalog", "title")
FACTS = (
    "case_id", "state", "kind", "title", "catalog", "product", "aware_at", "recorded_at", "recorded_by",
    "fix_available_at", "closed_at", "about",
)  # fmt: skip
STAGES = ("stage", "state", "begins", "due_at", "remaining", "submitted_at", "reference")
ENTRIES = ("number", "kind", "recorded_at", "stated_at", "actor", "stage", "reference", "text")

CaseArgument = Annotated[str, typer.Argument(metavar="CASE", help="Case: its id, or four or more first digits."), CASE]
AtOption = Annotated[str, typer.Option("--at", metavar="TIME", help="When: 2027-06-30T18:00:00Z, or now.")]
TextOption = Annotated[str, typer.Option("--text", metavar="TEXT", help="In words.")]
NeededText = Annotated[str, typer.Option("--text", metavar="TEXT", help="Why, in a sentence.")]
StageOption = Annotated[Literal["24h", "72h", "final"], typer.Option("--stage", help="Which report.")]
AdvisoryOption = Annotated[str | None, typer.Option("--advisory", metavar="ID", help="The advisory it is about.")]
FindingOption = Annotated[
    str | None, typer.Option("--finding", "-f", metavar="ID", help="The finding it is about."), FINDING
]
ReportOption = Annotated[
    str | None, typer.Option("--report", metavar="ID", help="The vulnerability report it is about.")
]


@remote_command(app, "aware")
def aware(
    remote: RemoteService,
    kind: Annotated[
        Literal["exploited-vulnerability", "severe-incident"], typer.Option("--kind", help="What must be reported.")
    ] = "exploited-vulnerability",
    advisory: AdvisoryOption = None,
    finding: FindingOption = None,
    report: ReportOption = None,
    title: Annotated[str, typer.Option("--title", metavar="TEXT", help="What happened, in a few words.")] = "",
    at: AtOption = "now",
    catalog: OnlyCatalogOption = None,
    product: OnlyProductOption = None,
    text: TextOption = "",
) -> Shown:
    """Record that you are aware: the clocks begin.

    24 and 72 hours run from this moment, or from --at. The time is never changed; a correction is an entry of its own.
    """
    body: dict[str, Any] = {"kind": kind, "title": title, "text": text}
    if at != "now":
        body["at"] = moment("--at", at)
    about = _subject(advisory, finding, report)
    if about is not None:
        body["about"] = about
    if product is not None:
        body["product"] = product
    where = catalog if product is None else catalog_name(remote, catalog)
    return _shown(remote.post("/cases", body, catalog=where))


@remote_command(app, "list")
def list_cases(
    remote: RemoteService,
    catalog: OnlyCatalogOption = None,
    which: Annotated[Literal["open", "closed", "all"], typer.Option("--state", help="Which cases.")] = "open",
    sort: Annotated[
        str | None,
        typer.Option("--sort", metavar="WORD", help="title, kind, state or aware_at; falling with - before it."),
    ] = None,
    limit: LimitOption = None,
) -> Shown:
    """List cases with the report that is due next."""
    wanted = None if which == "all" else str(which == "open").lower()
    found = list(remote.pages("/cases", limit=limit, catalog=catalog, open=wanted, sort=sort))
    return table(found, COLUMNS, row=_listed, empty="No such case.")


def _listed(row: Any) -> dict[str, Any]:
    return with_short(_readable(row), "case_id")


@remote_command(app, "show")
def show(remote: RemoteService, case: CaseArgument, catalog: OnlyCatalogOption = None) -> Shown:
    """Show a case: its clocks and its entries."""
    return _shown(remote.get(f"/cases/{segment(case)}", catalog=catalog))


@remote_command(app, "correct")
def correct(
    remote: RemoteService, case: CaseArgument, at: AtOption, text: NeededText, catalog: OnlyCatalogOption = None
) -> Shown:
    """State another time of becoming aware.

    The first time stays in the case. The clocks follow the earliest.
    """
    return _add(remote, case, "corrections", {"at": moment("--at", at), "text": text}, catalog)


@remote_command(app, "refer")
def refer(
    remote: RemoteService,
    case: CaseArgument,
    advisory: AdvisoryOption = None,
    finding: FindingOption = None,
    report: ReportOption = None,
    catalog: OnlyCatalogOption = None,
) -> Shown:
    """Say that a case is about one thing more."""
    about = _subject(advisory, finding, report)
    if about is None:
        raise InvalidArgumentError(
            "expected --advisory, --finding or --report, got none of them", remedy="Name what the case is about."
        )
    return _add(remote, case, "references", about, catalog)


@remote_command(app, "fix-available")
def fix_available(
    remote: RemoteService,
    case: CaseArgument,
    at: AtOption = "now",
    text: TextOption = "",
    catalog: OnlyCatalogOption = None,
) -> Shown:
    """Record that a fix or mitigation is available.

    The final report of an exploited vulnerability is due 14 days after that.
    """
    return _add(remote, case, "fix-available", _timed({"text": text}, at), catalog)


@remote_command(app, "submitted")
def submitted(
    remote: RemoteService,
    case: CaseArgument,
    stage: StageOption,
    reference: Annotated[
        str, typer.Option("--reference", metavar="TEXT", help="What the authority calls the report.")
    ] = "",
    at: AtOption = "now",
    text: TextOption = "",
    catalog: OnlyCatalogOption = None,
) -> Shown:
    """Record that a report was submitted, and when."""
    body = {"stage": stage, "reference": reference, "text": text}
    return _add(remote, case, "submissions", _timed(body, at), catalog)


@remote_command(app, "note")
def note(
    remote: RemoteService,
    case: CaseArgument,
    text: NeededText,
    field: Annotated[
        str, typer.Option("--field", metavar="FIELD", help="What drafts say there; a draft names its gaps.")
    ] = "",
    catalog: OnlyCatalogOption = None,
) -> Shown:
    """Add a note to a case, or fill a gap of its drafts."""
    return _add(remote, case, "notes", {"text": text, "field": field}, catalog)


@remote_command(app, "draft")
def draft(
    remote: RemoteService,
    case: CaseArgument,
    stage: StageOption,
    output_file: Annotated[
        Path | None, typer.Option("--output-file", metavar="FILE", help="Write the text there too.")
    ] = None,
    catalog: OnlyCatalogOption = None,
) -> Shown:
    """Draft a report, to copy into the authority's form.

    Each field has its sources. What nobody holds is named as a gap; armillary case note --field fills it.
    """
    found = remote.get(f"/cases/{segment(case)}/draft", stage=stage, catalog=catalog)
    if output_file is not None:
        write_file(output_file, found["text"].encode())

    def print_text() -> None:
        typer.echo(inert(found["text"], keep="\n"), nl=False)

    return Shown(found, print_text)


@remote_command(app, "close")
def close(remote: RemoteService, case: CaseArgument, text: NeededText, catalog: OnlyCatalogOption = None) -> Shown:
    """Close a case: its clocks stop, and nothing can be added."""
    return _add(remote, case, "close", {"text": text}, catalog)


def _add(remote: RemoteService, case: str, what: str, body: dict[str, Any], catalog: str | None) -> Shown:
    return _shown(remote.post(f"/cases/{segment(case)}/{what}", body, catalog=catalog))


def _timed(body: dict[str, Any], at: str) -> dict[str, Any]:
    return body if at == "now" else {**body, "at": moment("--at", at)}


def _subject(advisory: str | None, finding: str | None, report: str | None) -> dict[str, str] | None:
    given = {"advisory": advisory, "finding": finding, "vulnerability-report": report}
    found = [{"subject": kind, "id": value} for kind, value in given.items() if value is not None]
    if len(found) > 1:
        raise InvalidArgumentError(
            "expected one of --advisory, --finding and --report, got more",
            remedy="Name one; add the others with armillary case refer.",
        )
    return found[0] if found else None


def _shown(found: dict[str, Any]) -> Shown:
    about = ", ".join(f"{each['subject']} {each['id']}" for each in found["about"])
    facts = {**{name: found[name] for name in FACTS}, "about": about}
    stages = table(found["stages"], STAGES, row=_readable, empty="")
    entries = table(found["entries"], ENTRIES, row=readable, empty="")
    return record(found, row=lambda _: readable(facts)).then("", stages, "", entries)


def _readable(row: Any) -> dict[str, Any]:
    return {**readable(row), "remaining": remaining(row.get("remaining_s"))}


def remaining(seconds: int | None) -> str | None:
    """What remains of a time for people: ``2 days, 3:04:05``; ``over by 0:10:00``."""
    if seconds is None:
        return None
    return str(timedelta(seconds=seconds)) if seconds >= 0 else f"over by {timedelta(seconds=-seconds)}"

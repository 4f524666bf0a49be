# SPDX-License-Identifier: Apache-2.0
"""``armillary job``: jobs, which run one action on every device of a segment, and their results."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import typer

from armillary.cli.terminal import authored
from armillary.cli.terminal.authored import CatalogOption, FileOption, IdOption, NameOption
from armillary.cli.terminal.given import one_of, pairs_of
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, note, noun, only, record, table
from armillary.cli.terminal.readable import readable, readable_device
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.times import moment, seconds_of
from armillary.twin.author.shorthand import value_of
from armillary.wire.export.csv_table import csv_head, csv_rows

app = noun("Jobs: one action for every device of a segment.")

COLUMNS = ("id", "name", "group", "action", "run", "state", "done", "total", "failed")
RUN_COLUMNS = (
    "number", "state", "begun_by", "started_ms", "ended_ms",
    "done", "total", "waiting", "succeeded", "failed", "skipped",
)  # fmt: skip
RESULT_COLUMNS = ("device_id", "state", "attempts", "repeated", "status", "answer", "changed_ms")
WATCH_S = 1.0

JobOption = Annotated[str, typer.Option("--job", "-j", metavar="ID", help="Job id.")]
JOBS = authored.Documents(app, "/jobs", JobOption)
RunOption = Annotated[
    int | None, typer.Option("--run", metavar="NUMBER", help="Number of a run; the newest by default.")
]
UpdateGroupOption = Annotated[
    str | None,
    typer.Option("--update-group", metavar="PRODUCT/GROUP", help="Device group to move to, for what is there."),
]
UpdateOption = Annotated[
    str | None, typer.Option("--update-package", metavar="VERSION=URL", help="Package that devices fetch themselves.")
]
DigestOption = Annotated[str, typer.Option("--sha256", metavar="HEX", help="Of the package.")]
WithinOption = Annotated[str, typer.Option("--within", metavar="TIME", help="How long an update may take.")]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait for its end; show how it is getting on.")]


def _job_row(document: dict[str, Any]) -> dict[str, Any]:
    newest = document["run"] or {"number": None, "state": None, "done": None, "total": None, "counts": {"failed": None}}
    return {
        **authored.row_of(document),
        "action": document["body"]["action"]["kind"],
        "run": newest["number"],
        "state": newest["state"],
        "done": newest["done"],
        "total": newest["total"],
        "failed": newest["counts"]["failed"],
    }


@remote_command(app, "create")
def create(
    remote: RemoteService,
    *,
    name: NameOption = None,
    group: Annotated[str | None, typer.Option("--segment", "--group", "-g", metavar="ID", help="Segment.")] = None,
    set_property: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Desired property to set; repeatable. null deletes."),
    ] = None,
    set_cloud: Annotated[
        list[str] | None, typer.Option("--set-cloud", metavar="NAME=VALUE", help="Cloud property to set; repeatable.")
    ] = None,
    command: Annotated[str | None, typer.Option("--command", metavar="NAME", help="Direct method to call.")] = None,
    payload: Annotated[str, typer.Option("--payload", metavar="JSON", help="What the command gets.")] = "null",
    timeout: Annotated[int, typer.Option("--timeout", metavar="SECONDS", help="Wait for an answer so long.")] = 30,
    update_group: UpdateGroupOption = None,
    update_package: UpdateOption = None,
    sha256: DigestOption = "",
    within: WithinOption = "7d",
    start: Annotated[
        str | None, typer.Option("--start", metavar="TIME", help="When it runs first: a date and time, or now.")
    ] = None,
    repeat: Annotated[
        str | None, typer.Option("--repeat", metavar="TIME", help="Again every 1h, 1d and so on.")
    ] = None,
    concurrency: Annotated[int, typer.Option("--concurrency", metavar="N", help="Devices at once.")] = 10,
    batch: Annotated[
        str | None, typer.Option("--batch", metavar="N[%]", help="Devices of a batch, or a percentage of all.")
    ] = None,
    pause: Annotated[str | None, typer.Option("--pause", metavar="TIME", help="Between two batches.")] = None,
    abort: Annotated[
        str | None, typer.Option("--abort", metavar="N[%]", help="End when so many devices have failed.")
    ] = None,
    retries: Annotated[int, typer.Option("--retries", metavar="N", help="How often again after a failure.")] = 0,
    retry_after: Annotated[str, typer.Option("--retry-after", metavar="TIME", help="How much later.")] = "60s",
    document_id: IdOption = None,
    file: FileOption = None,
    catalog: CatalogOption = None,
    run_now: Annotated[bool, typer.Option("--run", help="Begin a run at once.")] = False,
    wait: WaitOption = False,
    replace: authored.ReplaceOption = False,
) -> Shown:
    """Make a job; with --run begin it at once."""
    if (name is None) == (file is None):
        raise typer.BadParameter("give either --name with the other options, or --file")
    if file is not None:
        body = authored.read_definition(file)
    else:
        if group is None:
            raise typer.BadParameter("--segment is needed")
        body = {
            "name": name,
            "group": group,
            "action": one_of(
                "--set, --set-cloud, --command, --update-group and --update-package",
                set_property and partial(_set, "set-property", set_property, "--set"),
                set_cloud and partial(_set, "set-cloud-property", set_cloud, "--set-cloud"),
                command and partial(_command, command, payload, timeout),
                update_group and partial(_update, within, device_group=update_group),
                update_package and partial(_package, within, update_package, sha256),
            ),
            "start": None if start is None else moment("--start", start),
            "repeat": None if repeat is None else {"every_s": seconds_of(repeat, "--repeat")},
            "concurrency": concurrency,
            "batch": None if batch is None else {**_amount(batch, "size", "--batch"), "pause_s": _pause(pause)},
            "abort": None if abort is None else _amount(abort, "count", "--abort"),
            "retries": retries,
            "retry_after_s": seconds_of(retry_after, "--retry-after"),
        }
    made = JOBS.put(remote, document_id, body, catalog, replace=replace)
    if run_now or wait:
        begun = remote.post(f"{JOBS.place(made['id'])}/runs", catalog=catalog)
        return _run(remote, begun, catalog, wait=wait)
    return record(made, row=authored.row_of)


@remote_command(app, "run")
def run(remote: RemoteService, job: JobOption, catalog: CatalogOption = None, wait: WaitOption = False) -> Shown:
    """Begin a run of a job now."""
    return _run(remote, remote.post(f"{JOBS.place(job)}/runs", catalog=catalog), catalog, wait=wait)


@remote_command(app, "rerun-failed")
def rerun_failed(
    remote: RemoteService, job: JobOption, catalog: CatalogOption = None, wait: WaitOption = False
) -> Shown:
    """Begin a run over the devices that failed in the newest one."""
    begun = remote.post(f"{JOBS.place(job)}/runs", {"only": "failed"}, catalog=catalog)
    return _run(remote, begun, catalog, wait=wait)


JOBS.add_list(
    "List jobs, each with its newest run.",
    COLUMNS,
    row=_job_row,
    empty="There is no job; make one: armillary job create.",
)


@remote_command(app, "show")
def show(remote: RemoteService, job: JobOption, catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Show a job and its runs."""
    found = remote.get(JOBS.place(job), catalog=catalog)
    record(found, row=authored.row_of).show(as_json=as_json)
    if not as_json:
        runs = [_run_row(each) for each in remote.pages(f"{JOBS.place(job)}/runs", catalog=catalog)]
        sys.stdout.write("\n")
        table(runs, RUN_COLUMNS, empty="It has not run yet.").print_text()


@remote_command(app, "results")
def results(
    remote: RemoteService,
    job: JobOption,
    number: RunOption = None,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="WORD", help="pending, running, waiting, succeeded, failed or skipped."),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of text.")] = False,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what became of each device of a run."""
    place = f"{JOBS.place(job)}/runs/{_number(remote, job, number, catalog)}/results"
    rows = list(remote.pages(place, catalog=catalog, state=state, limit=None))
    if as_csv:
        sys.stdout.write(csv_head(RESULT_COLUMNS) + csv_rows(rows, RESULT_COLUMNS))
        return
    empty = "No device is in that state."
    table(rows, ("name", *RESULT_COLUMNS), row=readable_device, empty=empty).show(as_json=as_json)


@remote_command(app, "cancel")
def cancel(remote: RemoteService, job: JobOption, number: RunOption = None, catalog: CatalogOption = None) -> Shown:
    """End a run: no other device begins."""
    place = f"{JOBS.place(job)}/runs/{_number(remote, job, number, catalog)}"
    return _run(remote, remote.post(f"{place}/cancel", catalog=catalog), catalog, wait=False)


JOBS.add_delete_of_used(
    "Delete a job and what is kept of its runs. Says which rules begin it, and does nothing then without --force."
)


def _run(remote: RemoteService, run: dict[str, Any], catalog: str | None, *, wait: bool) -> Shown:
    place = f"{JOBS.place(run['job_id'])}/runs/{run['number']}"
    last = ""
    while wait and run["state"] == "running":
        line = f"{run['done']} of {run['total']} devices, {run['counts']['failed']} failed"
        if line != last:
            note(line)
            last = line
        time.sleep(WATCH_S)
        run = remote.get(place, catalog=catalog)
    has_failed = wait and (run["state"] != "completed" or run["counts"]["failed"])
    shown = record(run, row=lambda found: only(*RUN_COLUMNS)(_run_row(found)))
    return replace(shown, exit_code=1 if has_failed else 0)


def _number(remote: RemoteService, job: str, number: int | None, catalog: str | None) -> int:
    if number is not None:
        return number
    newest = remote.get(JOBS.place(job), catalog=catalog)["run"]
    if newest is None:
        raise typer.BadParameter(f"job {job} has not run yet")
    return int(newest["number"])


def _run_row(run: dict[str, Any]) -> dict[str, Any]:
    return readable({**run, **run["counts"]})


def _set(kind: str, given: list[str], option: str) -> dict[str, Any]:
    return {"kind": kind, "properties": {name: value_of(value) for name, value in pairs_of(option, given).items()}}


def _command(name: str, payload: str, timeout: int) -> dict[str, Any]:
    return {"kind": "command", "command": name, "payload": value_of(payload), "timeout_s": timeout}


def _update(within: str, **what: Any) -> dict[str, Any]:
    return {"kind": "update", "timeout_s": seconds_of(within, "--within"), **what}


def _package(within: str, given: str, sha256: str) -> dict[str, Any]:
    version, equals, url = given.partition("=")
    if not version or not equals or not url:
        raise typer.BadParameter(f"--update-package: expected VERSION=URL, got {given!r:.60}")
    return _update(within, package={"version": version, "url": url, "sha256": sha256})


def _amount(text: str, name: str, option: str) -> dict[str, int]:
    number = text.removesuffix("%")
    if not number.isdecimal():
        raise typer.BadParameter(f"{option}: expected a number such as 5, or 10%, got {text!r:.20}")
    return {"percent" if text.endswith("%") else name: int(number)}


def _pause(text: str | None) -> int:
    return 0 if text is None else seconds_of(text, "--pause")

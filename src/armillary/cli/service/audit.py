# SPDX-License-Identifier: Apache-2.0
"""``armillary audit``: the audit log and the release log; checkpoints, proofs, and verification without a service."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from armillary.cli.service import witness
from armillary.cli.terminal.files import read_file, write_file
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, adopt, noun, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import (
    CaOption,
    RemoteService,
    ServiceOption,
    TokenOption,
    connect,
    remote_command,
)
from armillary.cli.terminal.times import moment
from armillary.errors import InvalidArgumentError
from armillary.wire.transparency.entry import AUDIT, LOGS

if TYPE_CHECKING:
    from armillary.wire.transparency.bundle import VerifiedBundle
    from armillary.wire.transparency.note import VerifierKey

app = noun("The audit log: list, prove and verify; its checkpoints and witnesses.")

COLUMNS = ("number", "at", "actor", "operation", "target")
LOG_COLUMNS = ("log", "size", "checkpoint_size", "verifier_key")
MAX_KEY_FILE_BYTES = 4096

LogOption = Annotated[
    str, typer.Option("--log", metavar="LOG", help=f"Which log: {' or '.join(LOGS)}.", show_default=True)
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key", metavar="KEY", help="Verifier key of the log, or a file with it: from elsewhere, not from FILE."
    ),
]
WitnessOption = Annotated[
    list[str] | None,
    typer.Option(
        "--witness", metavar="KEY", help="Verifier key of a witness you trust, or a file with it; repeatable."
    ),
]


MAX_DIGITS = 12  # of Unix seconds


@remote_command(app, "list")
def list_lines(
    remote: RemoteService,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Print at most so many.")] = 50,
    target: Annotated[str | None, typer.Option("--target", metavar="ID", help="Only what was done to this.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", metavar="NAME", help="Only what this one did.")] = None,
    operation: Annotated[
        str | None,
        typer.Option("--operation", metavar="WORD", help="device.revoke; or device for all that begin with device."),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--start", metavar="TIME", help="Only from then on: a date, a time or Unix seconds.")
    ] = None,
    end: Annotated[str | None, typer.Option("--end", metavar="TIME", help="Only before.")] = None,
) -> Shown:
    """List audit lines, newest first."""
    span = {"since": _seconds("--start", start), "until": _seconds("--end", end)}
    wanted = {"target": target, "actor": actor, "operation": operation, **span}
    lines = remote.pages("/audit", limit=limit, **wanted)
    is_all = all(value is None for value in wanted.values())
    empty = "The audit log is empty." if is_all else "The audit log has no such line."
    return table(lines, COLUMNS, row=readable, empty=empty)


def _seconds(option: str, text: str | None) -> int | None:
    """A date, a time or Unix seconds, as these."""
    if text is None:
        return None
    is_number = text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS
    return int(text) if is_number else moment(option, text)


@remote_command(app, "logs")
def list_logs(remote: RemoteService) -> Shown:
    """List the logs with their verifier keys.

    Keep the keys elsewhere: whoever verifies a proof needs them.
    """
    return table(remote.get("/logs")["items"], LOG_COLUMNS, empty="There is no log.")


@remote_command(app, "entries")
def list_entries(
    remote: RemoteService,
    log: LogOption = AUDIT,
    first: Annotated[int, typer.Option("--first", min=1, metavar="NUMBER", help="Begin with this entry.")] = 1,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, metavar="N", help="Print at most so many.")] = 100,
) -> Shown:
    """List the entries of a log in their order."""
    found = remote.get(f"/logs/{_log(log)}/entries", first=first, limit=limit)["items"]
    return table(found, COLUMNS, row=readable, empty="The log has no such entries.")


@remote_command(app, "checkpoint")
def checkpoint(
    remote: RemoteService,
    log: LogOption = AUDIT,
    size: Annotated[
        int | None, typer.Option("--size", min=0, metavar="N", help="An earlier one: of N entries.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--output-file", "-o", metavar="FILE", help="Write the signed note there.")
    ] = None,
) -> Shown:
    """Print the signed head of a log with its cosignatures.

    Keep it elsewhere, to compare with later ones.
    """
    found = remote.get(f"/logs/{_log(log)}/checkpoint", size=size)
    if out is not None:
        write_file(out, found["note"].encode())

    def print_text() -> None:
        typer.echo(found["note"], nl=False)

    return Shown(found, print_text)


@remote_command(app, "prove")
def prove(
    remote: RemoteService,
    out: Annotated[Path, typer.Option("--output-file", "-o", metavar="FILE", help="Write the proof there.")],
    log: LogOption = AUDIT,
    first: Annotated[int | None, typer.Option("--first", min=1, metavar="NUMBER", help="The first entry.")] = None,
    last: Annotated[int | None, typer.Option("--last", min=1, metavar="NUMBER", help="The last entry.")] = None,
    target: Annotated[str | None, typer.Option("--target", metavar="ID", help="Entries about this instead.")] = None,
    size: Annotated[
        int | None,
        typer.Option("--size", min=0, metavar="N", help="Against the checkpoint of N entries, not the newest."),
    ] = None,
    since: Annotated[
        Path | None, typer.Option("--since", metavar="FILE", help="Prove too that the log continues this checkpoint.")
    ] = None,
) -> Shown:
    """Write entries of a log with all that proves them.

    They are verified without the service.
    """
    from armillary.wire.transparency import bundle, checkpoint as checkpoints, note as notes  # noqa: PLC0415 - 20 ms

    earlier = None
    if since is not None:
        _, known = checkpoints.parse(read_file(since, limit=notes.MAX_NOTE_BYTES))
        earlier = known.head.size
    if target is None and first is None:
        first = last
    query = {"first": first, "last": last, "target": target, "size": size, "since": earlier}
    content = b"".join(remote.download(f"/logs/{_log(log)}/proof", **query))
    found = bundle.parse(content)
    write_file(out, content)
    return record({"file": str(out), "entries": len(found.entries), "key": found.keys[0].text})


@app.command("verify")
def verify(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A proof to verify without a service.", show_default=False)
    ] = None,
    key: KeyOption = None,
    witnesses: WitnessOption = None,
    since: Annotated[
        Path | None, typer.Option("--since", metavar="FILE", help="The checkpoint that the proof must continue.")
    ] = None,
    as_json: JsonOption = False,
    service: ServiceOption = None,
    token: TokenOption = None,
    ca: CaOption = None,
) -> None:
    """Verify a proof offline, or both logs of the service.

    The logs where no FILE is given. It exits with 1 when one is broken.

    Of a proof, every entry must be in the tree that the log (--key) has signed and that each --witness has cosigned.
    """
    if file is None:
        with connect(service, token, ca) as remote:
            found = remote.get("/audit/verification")
        is_good = all(found[name] is None for name in ("broken_at", "forked_at", "releases_forked_at"))
        replace(record(found), exit_code=0 if is_good else 1).show(as_json=as_json)
        return
    if key is None:
        raise InvalidArgumentError(
            "--key: a proof is worth as much as the key it is verified with, and none was given",
            remedy="Give the verifier key that you kept: --key KEY; armillary audit logs shows it.",
        )
    from armillary.wire.transparency import bundle  # noqa: PLC0415 - 20 ms

    trusted = [_key(each) for each in witnesses or ()]
    unverified = bundle.parse(read_file(file, limit=bundle.MAX_BUNDLE_BYTES))
    proved = bundle.verify(unverified, _key(key), witnesses=trusted, least=len(trusted))
    _check_continues(proved, since)
    _proved(proved).show(as_json=as_json)


def _proved(proved: VerifiedBundle) -> Shown:
    head = proved.checkpoint.head
    entries: list[dict[str, Any]] = [
        {
            "number": each.number,
            "at": each.at,
            "actor": each.actor,
            "operation": each.operation,
            "target": each.target,
            "detail": dict(each.detail),
        }
        for each in proved.entries
    ]
    found = {
        "log": proved.checkpoint.origin,
        "size": head.size,
        "root": head.root.hex(),
        "continues": None if proved.earlier is None else proved.earlier.head.size,
        "witnesses": [{"name": key.name, "at": at} for key, at in proved.witnesses],
        "entries": entries,
    }
    summary = {**found, "witnesses": [key.name for key, _ in proved.witnesses], "entries": len(entries)}
    shown = record(summary).then(table(entries, COLUMNS, row=readable, empty="The proof has no entries."))
    return replace(shown, found=found)


def _check_continues(proved: VerifiedBundle, since: Path | None) -> None:
    """Raise InconsistentLogError unless the proof continues just the checkpoint that somebody has kept."""
    if since is None:
        return
    from armillary.errors import InconsistentLogError  # noqa: PLC0415 - with the rest
    from armillary.wire.transparency import checkpoint as checkpoints, note as notes  # noqa: PLC0415 - 20 ms

    _, kept = checkpoints.parse(read_file(since, limit=notes.MAX_NOTE_BYTES))
    if proved.earlier != kept:
        raise InconsistentLogError(
            "log-proof",
            expected=f"a proof that continues {kept.origin} of {kept.head.size} entries, root {kept.head.root.hex()}",
            got="none" if proved.earlier is None else f"one of {proved.earlier.head.size} entries with another root",
        )


def _key(given: str) -> VerifierKey:
    """A verifier key, or the one in a file."""
    from armillary.wire.transparency.note import parse_verifier_key  # noqa: PLC0415 - 20 ms

    is_file = "+" not in given or Path(given).is_file()
    content = read_file(Path(given), limit=MAX_KEY_FILE_BYTES).decode("utf-8", "replace") if is_file else given
    return parse_verifier_key(content)


def _log(name: str) -> str:
    if name not in LOGS:
        raise InvalidArgumentError(f"--log: expected {' or '.join(LOGS)}, got {name!r:.40}", remedy="Name one of them.")
    return name


adopt(app, witness.app)

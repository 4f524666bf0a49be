# SPDX-License-Identifier: Apache-2.0
"""``armillary dossier``: signed statements about a fleet with their evidence, verified without the service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from armillary.cli.terminal.files import read_file, write_file
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, noun, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import (
    LimitOption,
    OnlyCatalogOption,
    OnlyProductOption,
    catalog_name,
)
from armillary.errors import InvalidArgumentError

if TYPE_CHECKING:
    from armillary.wire.dossier.dossier import VerifiedDossier

app = noun("Dossiers: signed statements about a fleet, with their evidence.")

COLUMNS = ("dossier_id", "made_at", "catalog", "product", "present", "absent", "stale", "out-of-scope", "size")
FACTS = ("dossier_id", "catalog", "product", "made_at", "made_by", "sha256", "size", "states")
STATEMENTS = ("standard", "id", "state", "title", "says")
MAX_KEY_BYTES = 4096
# A million devices of 5,000 images took a minute and a half on a busy machine.
CREATE_S = 600.0

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A dossier.")]
OutputFile = Annotated[Path, typer.Option("--output-file", metavar="FILE", help="File to write; - is stdout.")]
StateOption = Annotated[
    Literal["present", "absent", "stale", "out-of-scope"] | None, typer.Option("--state", help="Only these statements.")
]


@remote_command(app, "create")
def create(
    remote: RemoteService,
    output_file: OutputFile,
    catalog: OnlyCatalogOption = None,
    product: OnlyProductOption = None,
) -> Shown:
    """Gather what is held of a catalog, or of all, and sign it.

    It says of each requirement present, absent, stale or out of scope; whether one is met is for a person to judge.
    """
    name = catalog if product is None else catalog_name(remote, catalog)
    body = {} if product is None else {"product": product}
    made = remote.post_slow("/dossiers", body, within_s=CREATE_S, catalog=name)
    _download(remote, made["dossier_id"], name, output_file)
    return record({**made, "file": str(output_file)}, row=readable)


@remote_command(app, "list")
def list_dossiers(remote: RemoteService, catalog: OnlyCatalogOption = None, limit: LimitOption = None) -> Shown:
    """List the dossiers that were made."""
    found = list(remote.pages("/dossiers", limit=limit, catalog=catalog))
    return table(found, COLUMNS, row=lambda each: readable({**each, **each["states"]}), empty="None was made.")


@remote_command(app, "get")
def get(
    remote: RemoteService,
    dossier: Annotated[str, typer.Argument(metavar="DOSSIER", help="Dossier id.")],
    output_file: OutputFile,
    catalog: OnlyCatalogOption = None,
) -> Shown:
    """Write the file of a dossier that was made before."""
    _download(remote, dossier, catalog, output_file)
    return record({"file": str(output_file)})


@remote_command(app, "key")
def key(remote: RemoteService) -> Shown:
    """Show the key by which dossiers are verified; keep it elsewhere."""
    return record(remote.get("/dossier-key"))


@remote_command(app, "vex")
def vex(
    remote: RemoteService,
    output_file: OutputFile,
    form: Annotated[
        Literal["openvex", "cyclonedx", "csaf"], typer.Option("--format", help="Which form of VEX.")
    ] = "openvex",
    advisory: Annotated[str | None, typer.Option("--advisory", metavar="ID", help="Only about this advisory.")] = None,
    catalog: OnlyCatalogOption = None,
) -> Shown:
    """Write VEX for customers: what is known of your images."""
    found = remote.get("/vex", format=form, catalog=catalog, advisory=advisory)
    write_file(output_file, json.dumps(found, indent=2).encode() + b"\n")
    return record({"file": str(output_file), "format": form})


@app.command("verify")
def verify(
    file: FileArgument,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", help="Verifier key, or a file with it: from elsewhere, not from FILE."),
    ] = None,
    audit_key: Annotated[
        str | None, typer.Option("--audit-key", metavar="KEY", help="The audit log's key that you kept, to compare.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a dossier without a service.

    Its signature, each part by its digest, and each log entry by its proof. One changed byte is an error.
    """
    found = _verified(file, key)
    proofs = {log: len(each.entries) for log, each in found.proofs.items()}
    witnesses = sorted({name.name for each in found.proofs.values() for name, _ in each.witnesses})
    if audit_key is not None and found.document["logs"].get("audit") != _text_of(audit_key):
        raise InvalidArgumentError(
            "the dossier's audit log has another key than the one you kept",
            remedy="Do not rely on its log entries; ask the service why its log is another one.",
        )
    said = {
        "dossier_id": str(found.dossier_id),
        "catalog": found.document["catalog"],
        "product": found.document["product"],
        "made_at": found.made_at,
        "statements": found.counts(),
        "parts": len(found.parts),
        "proved_entries": proofs,
        "witnesses": witnesses,
    }
    record(said, row=readable).show(as_json=as_json)


@app.command("show")
def show(
    file: FileArgument,
    key: Annotated[str | None, typer.Option("--key", metavar="KEY", help="Verify it first, by this key.")] = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the statements of a dossier.

    With --key it is verified; without, what it says is what its file says, and nobody has verified it.
    """
    from armillary.wire.dossier import dossier as files  # noqa: PLC0415 - 20 ms

    if key is None:
        document = files.unverified_document(files.parse(read_file(file, limit=_limit())))
    else:
        document = _verified(file, key).document
    rows = [
        {"standard": standard["id"], **each}
        for standard in document["standards"]
        for each in standard["statements"]
        if state in (None, each["state"])
    ]
    head = {name: document[name] for name in ("dossier_id", "catalog", "product", "made_at")}
    shown = Shown({**head, "statements": rows}, record(head, row=readable).print_text)
    warning = None if key is not None else "Not verified: give --key KEY."
    shown.then("", table(rows, STATEMENTS, empty="No such statement."), warning).show(as_json=as_json)


def _verified(file: Path, key: str | None) -> VerifiedDossier:
    from armillary.wire.dossier import dossier as files  # noqa: PLC0415 - 20 ms
    from armillary.wire.transparency.note import parse_verifier_key  # noqa: PLC0415 - 20 ms

    if key is None:
        raise InvalidArgumentError(
            "--key: a dossier is worth as much as the key it is verified with, and none was given",
            remedy="Give the verifier key that you kept: --key KEY; armillary dossier key shows it.",
        )
    unverified = files.parse(read_file(file, limit=_limit()))
    return files.verify(unverified, parse_verifier_key(_text_of(key)))


def _limit() -> int:
    from armillary.wire.dossier.archive import MAX_BYTES  # noqa: PLC0415 - 20 ms

    return 2 * MAX_BYTES


def _text_of(key: str) -> str:
    """A key that was given as text or as a file."""
    path = Path(key)
    return read_file(path, limit=MAX_KEY_BYTES).decode("utf-8", "replace").strip() if path.is_file() else key


def _download(remote: RemoteService, dossier: str, catalog: str | None, output_file: Path) -> None:
    content = b"".join(remote.download(f"/dossiers/{segment(dossier)}/file", catalog=catalog))
    write_file(output_file, content)

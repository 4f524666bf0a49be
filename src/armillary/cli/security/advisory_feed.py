# SPDX-License-Identifier: Apache-2.0
"""``armillary advisory-feed``: feeds of advisories as signed bundles, for services that reach no source of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.cli.terminal.files import explained, read_file, write_file
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, note, noun, record, table
from armillary.cli.terminal.progress import megabytes, waiting
from armillary.cli.terminal.readable import readable, readable_of
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import YesOption, confirm
from armillary.cli.terminal.times import seconds_of
from armillary.errors import ConflictError, InvalidArgumentError

app = noun("Feeds of advisories: pack, trust, import.")

COLUMNS = ("feed", "kind", "records", "as_of", "stale", "edition")
KEY_COLUMNS = ("key_id", "name", "feed", "revoked_at")
EDITIONS = ("edition", "as_of", "records", "refused", "whole_at", "signer", "imported_by")
PART_BYTES: Final = 4 << 20
MAX_KEY_BYTES: Final = 16 << 10
# Between two looks at an import that runs.
LOOK_S: Final = 0.5
# Records that could not be read which are named one by one.
NAMED: Final = 5

Kind = Literal["osv", "kev", "epss", "openvex", "cyclonedx-vex", "csaf-vex"]
FeedOption = Annotated[str, typer.Option("--feed", metavar="NAME", help="Name of the feed: a-z 0-9 . _ -")]


@app.command("pack")
def pack(
    feed: FeedOption,
    files: Annotated[list[Path], typer.Option("--file", metavar="PATH", help="File or folder; repeatable.")],
    source: Annotated[str, typer.Option("--source", metavar="URL", help="Where the files were fetched from.")],
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="PEM of the P-256 private key that signs.")],
    output: Annotated[Path, typer.Option("--output-file", metavar="FILE", help="The bundle to write.")],
    kind: Annotated[Kind, typer.Option("--kind", help="What the files are.")] = "osv",
    as_of: Annotated[
        int | None,
        typer.Option("--as-of", metavar="SECONDS", help="When they were fetched, Unix seconds; now by default."),
    ] = None,
    ecosystem: Annotated[
        list[str] | None,
        typer.Option("--ecosystem", metavar="NAME", help="Whose packages they are about; found out by default."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Pack files of a source into a signed bundle.

    No service is asked.
    """
    from armillary.cli.security.feed_source import FeedSource  # noqa: PLC0415 - readers of six formats
    from armillary.wire.advisory.bundle import BundleStatement, pack_records, seal  # noqa: PLC0415

    signing, reading = _private_key(key), FeedSource(kind)
    packed, count = pack_records(reading.records(files))
    if not count:
        raise InvalidArgumentError("there is no record in these files", remedy="Name the files of the source.")
    statement = BundleStatement(
        feed=feed,
        kind=kind,
        source_url=source,
        as_of=int(time.time()) if as_of is None and reading.as_of is None else (as_of or reading.as_of or 0),
        sha256=sha256(packed).digest(),
        records=count,
        size=len(packed),
        ecosystems=tuple(sorted(ecosystem or reading.ecosystems)),
    )
    write_file(output, seal(statement, packed, signing))
    for each in reading.refused[:NAMED]:
        note(f"left out: {each}")
    if len(reading.refused) > NAMED:
        note(f"left out: {len(reading.refused) - NAMED} more")
    found = {
        "feed": feed,
        "kind": kind,
        "records": count,
        "left_out": len(reading.refused),
        "as_of": statement.as_of,
        "sha256": statement.sha256.hex(),
        "ecosystems": list(statement.ecosystems),
        "bundle": str(output),
    }
    record(found, row=readable).show(as_json=as_json)


@app.command("write-example")
def write_example(
    folder: Annotated[Path, typer.Option("--output-directory", metavar="DIR", help="Folder that is made.")],
    as_json: JsonOption = False,
) -> None:
    """Write an invented vulnerability to try things with.

    An advisory, its entry in a catalogue of exploited ones, and bills of materials of what it affects and what repairs
    it: docs/guides/exploited-vulnerability.md plays it.
    """
    from armillary.content.example_vulnerability import example_files  # noqa: PLC0415 - of this verb alone

    files = example_files(time.time())
    with explained(folder, "cannot be made"):
        folder.mkdir()
    for name, data in files.items():
        write_file(folder / name, data)
    record({"folder": str(folder), "files": sorted(files)}).show(as_json=as_json)


@remote_command(app, "trust")
def trust(
    remote: RemoteService,
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="PEM of the P-256 public key.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Whose key it is.")],
    feed: Annotated[str, typer.Option("--feed", metavar="NAME", help="The only feed that it may sign.")] = "",
) -> Shown:
    """Take bundles that a key signs."""
    pem = read_file(key, limit=MAX_KEY_BYTES).decode("ascii", "replace")
    if "PRIVATE KEY" in pem:
        raise InvalidArgumentError(
            f"{key} is a private key, which stays with who packs",
            remedy=f"Write its public half: openssl ec -in {key} -pubout.",
        )
    body = {"name": name, "public_key": pem, "feed": feed}
    return record(remote.post("/advisory-feed-keys", body), row=readable_of(*KEY_COLUMNS))


@remote_command(app, "keys")
def keys(remote: RemoteService) -> Shown:
    """List keys whose bundles are taken, and revoked ones."""
    found = remote.get("/advisory-feed-keys")["items"]
    return table(
        found,
        KEY_COLUMNS,
        row=readable_of(*KEY_COLUMNS),
        empty="There is none: armillary advisory-feed trust --key FILE.",
    )


@remote_command(app, "revoke-key")
def revoke_key(
    remote: RemoteService,
    key_id: Annotated[str, typer.Option("--key-id", metavar="HEX", help="Its id, as listed.")],
    yes: YesOption = False,
) -> Shown:
    """Take no bundle any more that a key signs."""
    confirm(f"Take no bundle any more that {key_id[:16]} signs?", yes=yes)
    return record(remote.delete(f"/advisory-feed-keys/{segment(key_id)}"), row=readable_of(*KEY_COLUMNS))


@remote_command(app, "import")
def import_(
    remote: RemoteService,
    file: Annotated[Path, typer.Option("--file", metavar="FILE", help="The bundle.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Until it is in force.")] = True,
) -> Shown:
    """Import a bundle.

    It is refused unless a trusted key signed it and it is newer than what is held.
    """
    with explained(file, "cannot be read"):
        size = file.stat().st_size
    upload = remote.post("/advisory-feed-uploads", {"size": size})
    place, answer = f"/advisory-feed-uploads/{upload['upload_id']}", upload
    with explained(file, "cannot be read"), file.open("rb") as content, megabytes("sent", size) as further:
        while data := content.read(PART_BYTES):
            answer = remote.send_part(place, data, offset=answer["received"])
            further(len(data))
    statement: dict[str, Any] | None = answer["statement"]
    if statement is None:
        raise InvalidArgumentError(f"{file} became shorter while it was read", remedy="Import it again.")
    return record(_settled(remote, statement) if wait else statement, row=readable)


@remote_command(app, "list")
def list_feeds(remote: RemoteService) -> Shown:
    """List feeds, and whether they are stale."""
    found = remote.get("/advisory-feeds")
    shown = table(found["items"], COLUMNS, row=_row, empty="There is none: armillary advisory-feed import --file FILE.")
    running = found["import"]
    if running["running"]:
        return shown.then("an import is running")
    return shown.then(f"the last import failed: {running['failure']}") if running["failure"] else shown


@remote_command(app, "editions")
def editions(remote: RemoteService, feed: FeedOption) -> Shown:
    """List the imports of a feed, the newest first."""
    found = remote.get(f"/advisory-feeds/{segment(feed)}/editions")["items"]
    return table(found, EDITIONS, row=readable_of(*EDITIONS), empty="There is none.")


@remote_command(app, "set-max-age")
def set_max_age(
    remote: RemoteService,
    feed: FeedOption,
    age: Annotated[str, typer.Option("--age", metavar="TIME", help="Such as 3d or 36h.")],
) -> Shown:
    """Say after how long a feed is stale.

    Then nothing is called good by it.
    """
    body = {"max_age_s": seconds_of(age, "--age")}
    return record(remote.put(f"/advisory-feeds/{segment(feed)}/max-age", body), row=_row)


def _settled(remote: RemoteService, statement: dict[str, Any]) -> dict[str, Any]:
    """The feed once its import has ended; ConflictError with the reason if it was not taken."""
    with waiting("the import"):
        while (found := remote.get("/advisory-feeds"))["import"]["running"]:
            time.sleep(LOOK_S)
    if found["import"]["failure"]:
        raise ConflictError(
            f"feed {statement['feed']} was not imported: {found['import']['failure']}",
            remedy="What was held before is in force still.",
        )
    mine = next(each for each in found["items"] if each["feed"] == statement["feed"])
    current: dict[str, Any] = mine["current"]
    return current


def _row(feed: Mapping[str, Any]) -> Mapping[str, Any]:
    current = feed["current"] or {"records": 0, "as_of": None, "edition": 0}
    return readable_of(*COLUMNS)({**feed, **{name: current[name] for name in ("records", "as_of", "edition")}})


def _private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    data = read_file(path, limit=MAX_KEY_BYTES)
    try:
        found = serialization.load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _no_key(path) from error
    if not isinstance(found, ec.EllipticCurvePrivateKey) or found.curve.name != "secp256r1":
        raise _no_key(path)
    return found


def _no_key(path: Path) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{path}: expected PEM of a P-256 private key without a passphrase",
        remedy="Make one: openssl ecparam -name prime256v1 -genkey -noout -out feed.key",
    )

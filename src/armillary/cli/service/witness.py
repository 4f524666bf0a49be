# SPDX-License-Identifier: Apache-2.0
"""``armillary audit cosign`` and ``armillary audit witness``: somebody else who sees that the logs only grow.

A witness's folder is on the witness's own machine: its key, encrypted, and the head of each log that it has seen. The
head is on the disk before the cosignature leaves, so that a witness never signs two histories, whenever it is killed.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from armillary.cli.release.key_folder import PASSPHRASE_VARIABLE, KeyPlace
from armillary.cli.terminal.files import explained, read_file
from armillary.cli.terminal.output import Shown, noun, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.engines.durable import write_file
from armillary.errors import ConflictError, DataFolderError, InconsistentLogError, InvalidArgumentError, NotFoundError
from armillary.wire.transparency import checkpoint as checkpoints, note as notes
from armillary.wire.transparency.entry import LOGS
from armillary.wire.transparency.merkle import TreeHead
from armillary.wire.transparency.note import VerifierKey, parse_verifier_key

app = noun()
witness = noun("Witnesses: whose cosignatures the service keeps.", within=app, name="witness")

KEY_NAME: Final = "witness"
VERIFIER_KEY: Final = "witness.key"  # the public half, as the service takes it
SEEN: Final = "seen.json"  # verifier key of a log -> the head that was seen last
MAX_SEEN_BYTES: Final = 1 << 20
COLUMNS: Final = ("name", "added_at", "added_by", "verifier_key")
PassphraseFileOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help=f"File with the passphrase of the key; else it is asked for. [env: {PASSPHRASE_VARIABLE}]",
    ),
]
FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The witness's folder.", show_default=False)]


@witness.command("create")
def create(
    folder: FolderArgument,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Of the witness, like witness.example.com/w1.")],
    passphrase_file: PassphraseFileOption = None,
) -> None:
    """Make a witness on this machine.

    It writes its key, and a file with the verifier key that the service is given.
    """
    checked = notes.checked_name(name)
    keys = KeyPlace(folder, passphrase_file).open_files(make=True)
    if keys.path(KEY_NAME).exists():
        raise ConflictError(f"{folder} is a witness's folder already", remedy="Use another folder for another witness.")
    made = notes.verifier_key(checked, notes.COSIGNATURE, keys.create_ed25519(KEY_NAME))
    write_file(folder / VERIFIER_KEY, f"{made.text}\n".encode(), mode=0o644)
    record({"verifier_key": made.text}).show(as_json=False)


@remote_command(witness, "add")
def add(
    remote: RemoteService,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its verifier key, or a file with it.", show_default=False)],
) -> Shown:
    """Have the service keep cosignatures of a witness."""
    is_file = "+" not in key or Path(key).is_file()
    text = read_file(Path(key), limit=4096).decode("utf-8", "replace").strip() if is_file else key
    return record(remote.post("/log-witnesses", {"verifier_key": text}), row=readable)


@remote_command(witness, "list")
def list_witnesses(remote: RemoteService) -> Shown:
    """List the witnesses."""
    return table(remote.get("/log-witnesses")["items"], COLUMNS, row=readable, empty="There is no witness.")


@remote_command(witness, "remove")
def remove(
    remote: RemoteService,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.", show_default=False)],
) -> Shown:
    """Keep no more cosignatures of a witness; those that are there stay."""
    remote.post("/log-witnesses/remove", {"name": name})
    return record({"removed": name})


@remote_command(app, "cosign")
def cosign(
    remote: RemoteService,
    folder: FolderArgument,
    log_keys: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY", help="Verifier key of a log that is seen for the first time; repeatable."),
    ] = None,
    passphrase_file: PassphraseFileOption = None,
) -> Shown:
    """As a witness, cosign the checkpoints of the logs.

    It verifies first that each log only grew since it was last seen.

    A log that has not is never cosigned; its checkpoint is kept in the folder as the proof.
    """
    key = KeyPlace(folder, passphrase_file).open_files().load_ed25519(KEY_NAME)
    name = _own(folder).name
    found = []
    with _seen(folder) as seen:
        for each in log_keys or ():
            seen.setdefault(parse_verifier_key(each).text, None)
        for log in LOGS:
            signed = _next(remote, log, folder, seen)
            line = notes.cosign(signed.text, name, key, int(time.time())).line
            remote.post(f"/logs/{log}/cosignatures", {"size": signed.head.size, "line": line})
            found.append({"log": log, "size": signed.head.size, "root": signed.head.root.hex()})
    return table(found, ("log", "size", "root"), empty="There is no log.")


def _next(remote: RemoteService, log: str, folder: Path, seen: dict[str, TreeHead | None]) -> checkpoints.Checkpoint:
    """The checkpoint of now, which continues what was seen; from then on it is what was seen, on the disk too."""
    document = remote.get(f"/logs/{log}/checkpoint")["note"].encode()
    known = [parse_verifier_key(each) for each in seen]
    _, claimed = checkpoints.parse(document)
    trusted = next((each for each in known if each.name == claimed.origin), None)
    if trusted is None:
        raise InvalidArgumentError(
            f"the {log} log calls itself {claimed.origin!r:.80}, which this witness has not seen",
            remedy="Get its verifier key from who runs it (armillary audit logs) and give it once: --key KEY.",
        )
    found = checkpoints.verify(document, trusted).checkpoint
    before = seen[trusted.text]
    proof: list[bytes] = []
    if before is not None and before.size <= found.head.size:
        query = {"from": before.size, "to": found.head.size}
        proof = [bytes.fromhex(each) for each in remote.get(f"/logs/{log}/consistency", **query)["proof"]]
    try:
        checkpoints.followed(before, found, proof)
    except InconsistentLogError:
        write_file(folder / f"refused-{log}-{found.head.size}.note", document, mode=0o600)
        raise
    seen[trusted.text] = found.head
    _write_seen(folder, seen)
    return found


def _own(folder: Path) -> VerifierKey:
    return parse_verifier_key(read_file(folder / VERIFIER_KEY, limit=4096).decode("utf-8", "replace"))


@contextmanager
def _seen(folder: Path) -> Iterator[dict[str, TreeHead | None]]:
    """What the witness has seen; nobody else of this folder looks meanwhile."""
    with explained(folder / "lock", "cannot be opened"):
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield _read_seen(folder)
    finally:
        os.close(lock)


def _read_seen(folder: Path) -> dict[str, TreeHead | None]:
    path = folder / SEEN
    if not path.exists():
        if (folder / VERIFIER_KEY).exists():
            return {}
        raise NotFoundError(f"{folder} is no witness's folder", remedy="Make one: armillary audit witness create.")
    try:
        found: dict[str, Any] = json.loads(read_file(path, limit=MAX_SEEN_BYTES))
        return {
            key: None if head is None else TreeHead(int(head["size"]), bytes.fromhex(head["root"]))
            for key, head in found.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataFolderError(
            f"{path} cannot be read ({error!s:.60})",
            remedy="Restore it from a backup; a witness that has forgotten what it saw must not sign.",
        ) from error


def _write_seen(folder: Path, seen: dict[str, TreeHead | None]) -> None:
    said = {key: None if head is None else {"size": head.size, "root": head.root.hex()} for key, head in seen.items()}
    write_file(folder / SEEN, json.dumps(said, indent=1).encode() + b"\n", mode=0o600)

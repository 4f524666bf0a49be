# SPDX-License-Identifier: Apache-2.0
"""``armillary application``: export and import of all documents of the platform as files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.terminal.files import explained, read_file, write_file
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import counted, note, noun, print_json, table
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.remote_names import YesOption, confirm
from armillary.errors import InvalidArgumentError
from armillary.wire.export.application_archive import (
    MANIFEST,
    MAX_ARCHIVE_BYTES,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_TOTAL_BYTES,
    check_path,
    decode_manifest,
    encode_manifest,
    pack_zip,
    unpack_zip,
)

app = noun("The whole application as files: templates, rules, jobs, groups, dashboards, exports.")

COLUMNS = ("change", "kind", "id")
PlaceArgument = Annotated[Path, typer.Argument(metavar="DIR|FILE.zip", help="A folder, or a zip file.")]


@remote_command(app, "export")
def export(
    remote: RemoteService,
    place: PlaceArgument,
    devices: Annotated[
        bool, typer.Option("--devices", help="With templates and cloud properties of single devices.")
    ] = False,
) -> None:
    """Write the application to a folder or a zip file.

    A folder is made for a version control system.

    In a folder that holds an export, files of documents that are gone are deleted; everything else stays.
    """
    answer = remote.get("/application", devices=str(devices).lower())
    files = {check_path(path): content.encode("utf-8") for path, content in answer["files"].items()}
    files[MANIFEST] = encode_manifest(answer["manifest"])
    if place.suffix == ".zip":
        write_file(place, pack_zip(files))
    else:
        _write_folder(place, files)
    note(f"{counted(len(files) - 1, 'document')} written to {place}")


@remote_command(app, "import")
def import_(
    remote: RemoteService,
    place: PlaceArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    replace: Annotated[
        list[str] | None,
        typer.Option("--replace", metavar="KIND", help="Delete other documents of a kind; repeatable."),
    ] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check an exported application and keep it.

    Says first what is new, changed or the same; all of it is kept in one step, or nothing.
    """
    files = unpack_zip(read_file(place, limit=MAX_ARCHIVE_BYTES)) if place.is_file() else _read_folder(place)
    if MANIFEST not in files:
        raise InvalidArgumentError(
            f"{place}: expected an {MANIFEST}, got none", remedy="Name the folder or file of an export."
        )
    body: dict[str, Any] = {"manifest": decode_manifest(files.pop(MANIFEST)), "replace": replace or []}
    try:
        body["files"] = {path: content.decode("utf-8") for path, content in files.items()}
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"{place}: expected files in UTF-8 ({error})", remedy="Correct the file.") from error
    plan = remote.post("/application/import", {**body, "dry_run": True})
    changes = [step for step in plan["steps"] if step["change"] != "same"]
    if not as_json:
        table(changes, COLUMNS, empty="Everything is there already.").print_text()
        for warning in plan["warnings"]:
            note(f"warning: {warning}")
    if not dry_run and changes:
        confirm(f"Make these {len(changes)} changes?", yes=yes)
        plan = remote.post("/application/import", {**body, "dry_run": False})
    if as_json:
        print_json(plan)
    counts = plan["counts"]
    done = "would be" if plan["dry_run"] else "are"
    note(
        f"{counts['new']} {done} new, {counts['changed']} changed, {counts['same']} the same, {counts['deleted']} gone"
    )


def _write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    present = sorted(_paths(folder)) if folder.is_dir() else []
    if present and MANIFEST not in present:
        raise InvalidArgumentError(
            f"{folder}: expected an empty folder, or one with an export", remedy="Choose another folder."
        )
    with explained(folder, "cannot be written"):
        for path, content in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_symlink() or target.parent.is_symlink():  # nothing is written to where a link leads
                raise InvalidArgumentError(f"{target}: expected no link", remedy="Remove it.")
            target.write_bytes(content)
        for path in present:
            if path not in files:
                (folder / path).unlink()


def _read_folder(folder: Path) -> dict[str, bytes]:
    """``application.json`` and ``KIND/ID.json``; what else lies there is none of ours."""
    found: dict[str, bytes] = {}
    left = MAX_TOTAL_BYTES
    for path in sorted(_paths(folder)):
        if len(found) >= MAX_FILES:
            raise InvalidArgumentError(f"{folder}: expected at most {MAX_FILES} files", remedy="Name another folder.")
        found[path] = _read_plain(folder / path, min(left, MAX_FILE_BYTES))
        left -= len(found[path])
    return found


def _read_plain(path: Path, limit: int) -> bytes:
    """A file's content; no link is followed and nothing but a file is read."""
    with explained(path, "cannot be read", remedy="Links are not followed; put the file itself there."):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            is_plain = stat.S_ISREG(os.fstat(descriptor).st_mode)
            data = file.read(limit + 1) if is_plain else b""
    if not is_plain or len(data) > limit:
        raise InvalidArgumentError(
            f"{path}: expected a file of at most {limit} bytes", remedy="Put the exported file there."
        )
    return data


def _paths(folder: Path) -> Iterator[str]:
    with explained(folder, "cannot be read", remedy="Name the folder or file of an export."):
        for entry in os.scandir(folder):
            if entry.name == MANIFEST:
                yield entry.name
            elif entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                yield from (f"{entry.name}/{each.name}" for each in os.scandir(entry) if each.name.endswith(".json"))

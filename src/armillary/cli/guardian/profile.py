# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian profile``: check, show and sign profiles of equipment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.guardian import profile_key
from armillary.cli.guardian.profile_file import MAX_FILE_BYTES, read_profile_file
from armillary.cli.guardian.profile_view import described, summary
from armillary.cli.terminal.files import read_file, write_file
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, noun, record, table
from armillary.errors import ArmillaryError
from armillary.guard.compiling import compile_profile
from armillary.wire.equipment import signed_file
from armillary.wire.equipment.faults import ProfileError
from armillary.wire.equipment.files import signing
from armillary.wire.equipment.profile_reader import canonical, profile_document, read_json, read_profile

app = noun("Profiles: what equipment is, and what may be asked of it.")
app.add_typer(profile_key.app, name="key")

CHECK_COLUMNS = ("file", "profile", "version", "points", "reads", "commands", "result")

FilesArgument = Annotated[
    list[str], typer.Argument(metavar="FILE...", help="Profiles in YAML or JSON, or names of shipped ones.")
]
FileArgument = Annotated[
    str, typer.Argument(metavar="FILE", help="A profile (YAML, JSON, signed) or a shipped one's name.")
]
SignedArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A signed profile.")]


@app.command("check")
def check(files: FilesArgument, as_json: JsonOption = False) -> None:
    """Check profiles against every rule; nothing is kept.

    What is wrong is named with file, line, place and rule. Exit code 1 if any is wrong.
    """
    rows = [_checked(file) for file in files]
    for row in rows:
        if row["error"] is not None and not as_json:
            typer.echo(f"error: {row['error']['message']}", err=True)
    wrong = sum(row["error"] is not None for row in rows)
    shown = table(rows, CHECK_COLUMNS, row=_check_row, empty="There is no file.")
    Shown(shown.found, shown.print_text, exit_code=1 if wrong else 0).show(as_json=as_json)


@app.command("show")
def show(file: FileArgument, as_json: JsonOption = False) -> None:
    """Show points, poll plan, what is allowed, and grants.

    A read that is not listed here, and a write that is none of the commands, is never sent.
    """
    described(compile_profile(read_profile_file(file))).show(as_json=as_json)


@app.command("sign")
def sign(
    file: FileArgument,
    key: Annotated[Path, typer.Option("--key", metavar="KEY", help="Private key, PEM (profile key new).")],
    out: Annotated[
        Path, typer.Option("--output-file", "-o", metavar="FILE", help="The signed profile: a DSSE envelope.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Sign a profile; a signed one gets one more signature.

    It is checked first, and signed as canonical JSON. A guardian takes what a key of its image signed, and no version
    that is lower than one that it had.
    """
    private = signing.read_private_key(read_file(key, limit=profile_key.MAX_KEY_BYTES))
    profile = read_profile_file(file)
    compile_profile(profile)
    envelope = _envelope_of(file)
    if envelope is None:
        payload = canonical(profile_document(profile))
        envelope = signed_file.UnverifiedEnvelope(signed_file.PROFILE, payload, ())
    write_file(out, signing.add_signature(envelope, private))
    found = {**summary(profile), "key_id": signing.public_key(private).key_id, "file": str(out)}
    record(found).show(as_json=as_json)


@app.command("verify")
def verify(
    file: SignedArgument,
    keys: Annotated[list[Path], typer.Option("--key", metavar="KEY", help="Public key that is trusted; repeatable.")],
    as_json: JsonOption = False,
) -> None:
    """Verify a signed profile: signature, form and every rule."""
    trusted = [signing.read_public_key(read_file(each, limit=profile_key.MAX_KEY_BYTES)) for each in keys]
    verified = signed_file.verify(read_file(file, limit=MAX_FILE_BYTES), trusted, signed_file.PROFILE)
    profile = read_profile(read_json(verified.payload, str(file)), file=str(file))
    compile_profile(profile)
    record({**summary(profile), "sha256": verified.sha256, "key_id": verified.key_id}).show(as_json=as_json)


def _envelope_of(file: str) -> signed_file.UnverifiedEnvelope | None:
    path = Path(file)
    if path.suffix != ".dsse":
        return None
    return signed_file.read_envelope(read_file(path, limit=MAX_FILE_BYTES))


def _checked(file: str) -> dict[str, Any]:
    try:
        profile = read_profile_file(file)
        compiled = compile_profile(profile)
    except ArmillaryError as error:
        return {"file": file, "error": _told(error)}
    return {"file": file, "error": None, **summary(profile), "reads": len(compiled.blocks)}


def _told(error: ArmillaryError) -> dict[str, Any]:
    told: dict[str, Any] = {"code": error.code, "message": error.message}
    if isinstance(error, ProfileError):
        told |= {"rule": error.rule, "place": error.place, "line": error.line}
    return told


def _check_row(row: dict[str, Any]) -> dict[str, Any]:
    error = row["error"]
    return {**row, "result": "good" if error is None else f"wrong: {error.get('rule', error['code'])}"}

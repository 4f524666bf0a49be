# SPDX-License-Identifier: Apache-2.0
"""``armillary release``: OS releases and their reference values."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.release import release_keys, release_life, signing_keys
from armillary.cli.release.release_view import (
    COLUMNS,
    AllowOlderOption,
    ReleaseOption,
    note_first_real,
    path_of,
    row,
    whole,
)
from armillary.cli.terminal.device_options import ChipOption
from armillary.cli.terminal.files import read_file, write_file
from armillary.cli.terminal.output import Shown, adopt, note, noun, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.remote_names import OnlyChipOption, YesOption, confirm
from armillary.cli.terminal.times import moment

app = noun("OS releases and their reference values.")

app.add_typer(release_keys.app, name="keys")
app.add_typer(signing_keys.app, name="signing-keys")

NO_END = "no-end"
MAX_CORIM_BYTES = 16 << 10  # wire/attestation/corim.py's limit
MAX_KEY_BYTES = 8 << 10
FLOOR_COLUMNS = ("chip", "image_type", "minimum", "changed_at")


@remote_command(app, "list")
def list_releases(remote: RemoteService, chip: OnlyChipOption = None) -> Shown:
    """List OS releases."""
    return table(remote.pages("/releases", chip=chip), COLUMNS, row=row, empty="No OS release.")


@remote_command(app, "show")
def show(remote: RemoteService, release: ReleaseOption) -> Shown:
    """Show a release and its reference values.

    They are the digests of its boot components that the verifier accepts.
    """
    found = remote.get(path_of(remote, release))
    return whole(found)


@remote_command(app, "publish")
def publish(
    remote: RemoteService,
    release: Annotated[str | None, typer.Option("--release", metavar="ID", help="A signed draft.")] = None,
    chip: Annotated[
        str | None, typer.Option("--chip", metavar="NAME", help="Or build one for this chip profile.")
    ] = None,
    version: Annotated[
        str | None, typer.Option("--os-version", metavar="VERSION", help="New version of that chip, e.g. 26.12.")
    ] = None,
    security_version: Annotated[
        int | None,
        typer.Option(
            "--security-version", min=0, max=31, metavar="N", help="Anti-rollback version; else the newest's."
        ),
    ] = None,
    os_feed: Annotated[
        str | None,
        typer.Option(
            "--os-feed", "-f", metavar="NAME", help="Who gets what is built; else Retail. A draft has its own."
        ),
    ] = None,
    allow_older: AllowOlderOption = False,
) -> Shown:
    """Publish a signed draft, or a new release.

    With a chip the release is built, signed and published at once. Groups of its feed are offered it from
    their devices' next check-ins on. One that is older than what they are given, by its version or its security
    version, is refused without --allow-older.
    """
    if (release is None) == (chip is None) or (chip is None) != (version is None):
        raise typer.BadParameter("give either --release, or --chip and --os-version")
    if release is not None:
        if os_feed is not None or security_version is not None:
            raise typer.BadParameter("--os-feed and --security-version of a draft were said when it was created")
        made = remote.post(f"{path_of(remote, release)}/publish", allow_older=allow_older or None)
        note_first_real(remote, made)
        return whole(made)
    body = {
        "chip": chip,
        "version": version,
        "security_version": security_version,
        "feed": os_feed or "Retail",
        "allow_older": allow_older,
    }
    return whole(remote.post("/releases", body))


@remote_command(app, "export-corim")
def export_corim(
    remote: RemoteService,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Release id, or CHIP/VERSION such as mt3620/26.11.")],
    output: Annotated[Path, typer.Option("--output-file", "-o", metavar="FILE", help="File to write; - is stdout.")],
    signed: Annotated[bool, typer.Option("--signed", help="Sign it with the service's OS signing key.")] = False,
) -> None:
    """Write a release's reference values as CoRIM."""
    answer = remote.get(f"{path_of(remote, name)}/corim", signed=signed)
    data = base64.b64decode(answer["corim"])
    write_file(output, data)
    note(f"{len(data)} bytes, {'signed' if signed else 'not signed'}")


@remote_command(app, "import-corim")
def import_corim(
    remote: RemoteService,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CoRIM, signed or not; - is stdin.")],
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="Public key or certificate of who signed it, PEM.")
    ] = None,
    allow_unsigned: Annotated[
        bool, typer.Option("--allow-unsigned", help="Vouch for a CoRIM that nobody has signed.")
    ] = False,
    os_feed: Annotated[str, typer.Option("--os-feed", "-f", metavar="NAME", help="Who is meant to run it.")] = "Retail",
    chip: Annotated[
        str | None, typer.Option("--chip", metavar="NAME", help="Chip profile, where its model is not one.")
    ] = None,
    version: Annotated[
        str | None, typer.Option("--os-version", metavar="VERSION", help="OS version, where it does not say one.")
    ] = None,
    security_version: Annotated[
        int,
        typer.Option("--security-version", min=0, max=31, metavar="N", help="Of the components of which it says none."),
    ] = 0,
    pass_over: Annotated[
        list[str] | None,
        typer.Option("--pass-over", metavar="FIELD", help="Vouch that this field may be ignored; repeatable."),
    ] = None,
) -> Shown:
    """Make a release of the reference values in a CoRIM.

    Devices that boot it are let in from then on. What says nothing about reference values is passed over and named; a
    field that could limit them is refused by its name.
    """
    body: dict[str, Any] = {
        "corim": base64.b64encode(read_file(file, limit=MAX_CORIM_BYTES)).decode("ascii"),
        "feed": os_feed,
        "allow_unsigned": allow_unsigned,
        "chip": chip,
        "os_version": version,
        "security_version": security_version,
        "pass_over": pass_over or [],
    }
    if key is not None:
        body["key"] = read_file(key, limit=MAX_KEY_BYTES).decode("ascii", errors="replace")
    made = remote.post("/releases/corim", body)
    said = (("passed over", made["passed_over"]), ("not said by the file", made["derived"]))
    return whole(made).then(*(f"{label}: {'; '.join(words)}" for label, words in said if words))


@remote_command(app, "withdraw")
def withdraw(
    remote: RemoteService,
    release: ReleaseOption,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="What is wrong with it, in a sentence.")],
    yes: YesOption = False,
) -> Shown:
    """Withdraw a release, for good; also: revoke.

    From each device's next check-in on, a device that boots it gets only updates and reads the reason. It is offered
    the newest release of its feed that it can take.
    """
    confirm(f"Withdraw release {release}? Every device that boots it gets only updates, for good.", yes=yes)
    return whole(remote.post(f"{path_of(remote, release)}/withdraw", {"reason": reason}))


@remote_command(app, "set-expiry")
def set_expiry(
    remote: RemoteService,
    release: ReleaseOption,
    until: Annotated[str, typer.Option("--until", metavar="TIME", help=f"A date or time (UTC), now, or {NO_END}.")],
) -> Shown:
    """Say until when a release is good.

    From then on a device that boots it gets only updates.
    """
    expires_at = None if until == NO_END else moment("--until", until)
    return whole(remote.post(f"{path_of(remote, release)}/expiry", {"expires_at": expires_at}))


@remote_command(app, "list-floors")
def list_floors(remote: RemoteService, chip: OnlyChipOption = None) -> Shown:
    """List security floors: lower versions are refused."""
    found = remote.pages("/security-floors", chip=chip)
    return table(found, FLOOR_COLUMNS, row=readable, empty="No floor is set: every published version is accepted.")


@remote_command(app, "raise-floor")
def raise_floor(
    remote: RemoteService,
    chip: ChipOption,
    image_type: Annotated[
        int, typer.Option("--image-type", metavar="N", help="Image type, as armillary release show prints it.")
    ],
    minimum: Annotated[
        int, typer.Option("--minimum", min=0, max=31, metavar="N", help="Lowest security version still accepted.")
    ],
    yes: YesOption = False,
) -> Shown:
    """Refuse lower security versions.

    Takes effect at each device's next check-in. A floor never sinks again.
    """
    confirm(f"Refuse {chip} devices whose image of type {image_type} is below version {minimum}, for good?", yes=yes)
    body = {"chip": chip, "image_type": image_type, "minimum": minimum}
    return record(remote.post("/security-floors", body), row=readable)


adopt(app, release_life.verbs)

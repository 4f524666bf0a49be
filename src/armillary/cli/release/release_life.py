# SPDX-License-Identifier: Apache-2.0
"""Verbs of ``armillary release`` for a release that is not in force for everybody yet, and its bill of materials."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.release.reference_values import (
    are_stated,
    ask_to_state,
    note_open_chips,
    read_values,
    state_values,
)
from armillary.cli.release.release_view import AllowOlderOption, ReleaseOption, note_first_real, path_of, whole
from armillary.cli.terminal.device_options import ChipOption
from armillary.cli.terminal.files import read_file, write_file
from armillary.cli.terminal.output import Shown, counted, note, noun, record
from armillary.cli.terminal.readable import readable_of
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.remote_names import CatalogOption, YesOption, catalog_name, confirm
from armillary.errors import ArmillaryError, InvalidArgumentError
from armillary.wire.image.bill_of_materials import MAX_BYTES, MEDIA_TYPE

verbs = noun()

MAX_COMPONENT_BYTES = 48 << 20  # what base64 makes of it fits into one request
BILL_FACTS = ("components", "spec_version", "size", "sha256", "added_at", "added_by")
BillArgument = Annotated[Path, typer.Argument(metavar="FILE", help="CycloneDX or SPDX document, JSON; - is stdin.")]
BillOutput = Annotated[Path, typer.Option("--output-file", "-o", metavar="FILE", help="File to write; - is stdout.")]


@remote_command(verbs, "create")
def create(
    remote: RemoteService,
    chip: ChipOption,
    version: Annotated[str, typer.Option("--os-version", metavar="VERSION", help="New version, e.g. 26.12.")],
    component: Annotated[
        list[str] | None,
        typer.Option("--component", metavar="NAME=FILE", help="A component package, repeatable; none: built here."),
    ] = None,
    os_feed: Annotated[
        str, typer.Option("--os-feed", "-f", metavar="NAME", help="Who gets it once it is published.")
    ] = "RetailEval",
    os_abi: Annotated[
        int, typer.Option("--os-abi", min=0, metavar="N", help="What it gives to applications; 0: not said.")
    ] = 0,
    security_version: Annotated[
        int | None,
        typer.Option("--security-version", min=0, max=31, metavar="N", help="Of components that are built here."),
    ] = None,
    reference_values: Annotated[
        Path | None,
        typer.Option(
            "--reference-values",
            metavar="FILE",
            help="What the image's build states of its boot: the catalog demands it of the chip's devices.",
        ),
    ] = None,
    catalog: CatalogOption = None,
    yes: YesOption = False,
) -> Shown:
    """Make a release as a draft.

    Nobody is offered it, and no device that boots it is let in, until it is signed and published.
    With --reference-values its catalog states what armillary attestation-policy firmware add would, and nothing
    where all of it is stated already.
    """
    stated = None if reference_values is None else _values_of(reference_values, chip)
    name = "" if stated is None else catalog_name(remote, catalog)
    body: dict[str, Any] = {
        "chip": chip,
        "version": version,
        "feed": os_feed,
        "os_abi": os_abi,
        "security_version": security_version,
        "components": _packages(component) if component else None,
    }
    if stated is not None and are_stated(remote, name, chip, stated):
        note(f"{counted(len(stated), 'reference value')} for chip {chip}, all stated already in catalog {name}.")
        note_open_chips(remote, name, chip)
        stated = None
    if stated is not None:
        ask_to_state(remote, name, chip, stated, yes=yes)  # before anything is made
    made = remote.post("/releases/drafts", body)
    if stated is not None:
        try:
            state_values(remote, name, chip, stated, f"built with release {made['release_id']}")
        except ArmillaryError:
            note(
                f"The draft {chip}/{version} was made; what its build states was not stated. Do that by itself: "
                f"armillary attestation-policy firmware add {reference_values} --catalog {name}"
            )
            raise
    note_first_real(remote, made)
    return whole(made)


@remote_command(verbs, "sign")
def sign(remote: RemoteService, release: ReleaseOption) -> Shown:
    """Sign every component of a draft.

    It is done with the service's OS signing key.
    """
    return whole(remote.post(f"{path_of(remote, release)}/sign"))


@remote_command(verbs, "promote")
def promote(remote: RemoteService, release: ReleaseOption, allow_older: AllowOlderOption = False) -> Shown:
    """Give a release of the evaluation feed to everybody."""
    return whole(remote.post(f"{path_of(remote, release)}/promote", allow_older=allow_older or None))


@remote_command(verbs, "revoke")
def revoke(
    remote: RemoteService,
    release: ReleaseOption,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="What is wrong with it, in a sentence.")],
    yes: YesOption = False,
) -> Shown:
    """Withdraw a release, for good; also: withdraw.

    From each device's next check-in on, a device that boots it gets only updates and reads the reason. It is offered
    the newest release of its feed that it can take.
    """
    confirm(f"Withdraw release {release}? Every device that boots it gets only updates, for good.", yes=yes)
    return whole(remote.post(f"{path_of(remote, release)}/withdraw", {"reason": reason}))


@remote_command(verbs, "add-sbom")
def add_bill(remote: RemoteService, file: BillArgument, release: ReleaseOption) -> Shown:
    """Add the bill of materials of a release.

    It takes the place of the one before.
    """
    data = read_file(file, limit=MAX_BYTES)
    return record(remote.upload(f"{path_of(remote, release)}/sbom", data, MEDIA_TYPE), row=readable_of(*BILL_FACTS))


@remote_command(verbs, "get-sbom")
def get_bill(remote: RemoteService, release: ReleaseOption, output: BillOutput) -> None:
    """Write the bill of materials of a release, as it was given."""
    data = b"".join(remote.download(f"{path_of(remote, release)}/sbom"))
    write_file(output, data)
    note(f"{len(data)} bytes")


def _values_of(file: Path, chip: str) -> list[dict[str, Any]]:
    named, values = read_values(file)
    if named != chip:
        raise InvalidArgumentError(
            f"{file}: expected reference values for chip {chip}, which the release is for, got those for {named:.80}",
            remedy="Name the reference-values.json beside the image that the release is made of.",
        )
    return values


def _packages(given: list[str]) -> dict[str, str]:
    """Component name to package, base64, of options such as ``services=FILE``."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, file = text.partition("=")
        if not equals or not name or not file:
            raise typer.BadParameter(f"--component: expected NAME=FILE, got {text!r:.80}")
        if name in found:
            raise typer.BadParameter(f"--component: {name!r:.80} is there twice")
        found[name] = base64.b64encode(read_file(Path(file), limit=MAX_COMPONENT_BYTES)).decode("ascii")
    return found

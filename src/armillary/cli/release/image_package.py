# SPDX-License-Identifier: Apache-2.0
"""``armillary image-package``: pack a folder or a boot component into an image package, show the content of a package.

Option names are those of ``az sphere image-package``. Packages are signed with this user's development key unless
``--signing-key`` and ``--signing-certificate`` name another (``cli/release/development_key.py``).
"""

from __future__ import annotations

import datetime as dt
import inspect
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary import content
from armillary.boot.profile import parse as parse_profile
from armillary.capability.grant import board_grant, platform_limits
from armillary.cli.release.development_key import SigningPair, load_certificate, signing_pair, verify_own
from armillary.cli.release.image_notes import note_hindrances
from armillary.cli.release.package_folder import build_time, load_definitions, read_file, read_folder, write_folder
from armillary.cli.terminal.device_options import ChipOption
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import note, noun, record
from armillary.cli.terminal.together import Together, local_command
from armillary.content import applications
from armillary.errors import ArmillaryError, InvalidArgumentError, NotFoundError
from armillary.wire.image import (
    app_manifest,
    application as application_package,
    board_configuration,
    package as image_package,
)
from armillary.wire.image.application import MANIFEST_PATH, RUNTIME_VERSION, OsRange
from armillary.wire.image.metadata import OneBlBlock
from armillary.wire.image.package import UnverifiedImagePackage
from armillary.wire.image.section import (
    ABI_KINDS,
    APPLICATIONS,
    CUSTOMER_BOARD_CONFIG,
    IMAGE_TYPES,
    ONE_BL,
    SECURITY_VERSION_LIMIT,
    SIGNATURE_ALGORITHMS,
    TEMPORARY_FLAGS,
    AbiDepends,
    Compression,
)

app = noun("Pack and show image packages.")

PEM = "PEM file; without it this user's development key signs."


@dataclass(frozen=True, slots=True)
class NewPackage:
    """What is the same for every package that is made: where it goes, its image id, who signs."""

    output_file: Path
    image_id: uuid.UUID
    signing_key: Path | None
    signing_certificate: Path | None

    def signing_pair(self) -> SigningPair:
        """The pair that signs; errors as of ``development_key.signing_pair``."""
        return signing_pair(self.signing_key, self.signing_certificate)

    def write(self, data: bytes, *, as_json: bool) -> None:
        """Write the package, and say what it is."""
        try:
            self.output_file.write_bytes(data)
        except OSError as error:
            raise InvalidArgumentError(
                f"{self.output_file}: expected a file that can be written, got {error.strerror}",
                remedy="Check --output-file.",
            ) from error
        package = image_package.parse(data)
        facts = {"name": package.name, "component_id": package.component_id, "image_id": package.image_id}
        record({"output_file": str(self.output_file), **facts, "bytes": len(data)}).show(as_json=as_json)


def _new_package(_service: object, *, image_id: uuid.UUID | None, **given: Any) -> NewPackage:
    return NewPackage(image_id=image_id or uuid.uuid4(), **given)


Made = Annotated[
    NewPackage,
    Together(
        {
            "output_file": (
                Annotated[Path, typer.Option("--output-file", metavar="FILE", help="Image package to write.")],
                inspect.Parameter.empty,
            ),
            "image_id": (
                Annotated[
                    uuid.UUID | None, typer.Option("--image-id", metavar="ID", help="Image id; a new one by default.")
                ],
                None,
            ),
            "signing_key": (
                Annotated[Path | None, typer.Option("--signing-key", metavar="FILE", help=f"EC private key. {PEM}")],
                None,
            ),
            "signing_certificate": (
                Annotated[
                    Path | None, typer.Option("--signing-certificate", metavar="FILE", help=f"Its certificate. {PEM}")
                ],
                None,
            ),
        },
        _new_package,
    ),
]


@app.command("write-example")
def write_example(
    name: Annotated[
        str, typer.Option("--name", "-n", metavar="NAME", help=f"One of: {', '.join(applications.names())}.")
    ],
    output_directory: Annotated[
        Path, typer.Option("--output-directory", metavar="DIR", help="New folder for the application.")
    ],
    catalog_id: Annotated[
        uuid.UUID,
        typer.Option("--catalog-id", metavar="ID", help="Catalog whose client certificate it uses (its tenantId)."),
    ],
    hub_host: Annotated[
        str, typer.Option("--hub-host", metavar="NAME", help="Host name of the hub that it may reach.")
    ] = "localhost",
    as_json: JsonOption = False,
) -> None:
    """Write an example application to a folder.

    The folder is ready for pack-application: its manifest names the hub's host and the catalog.
    """
    files = applications.load(name, allowed_host=hub_host, catalog_id=catalog_id)
    write_folder(output_directory, files, option="--output-directory")
    record({"folder": str(output_directory), "files": len(files)}).show(as_json=as_json)
    note(f"Pack it: armillary image-package pack-application --package-directory {output_directory} --output-file FILE")


@local_command(app, "pack-application")
def pack_application(
    *,
    package_directory: Annotated[
        Path, typer.Option("--package-directory", metavar="DIR", help="Folder that becomes the image.")
    ],
    made: Made,
    application_manifest: Annotated[
        Path | None,
        typer.Option("--application-manifest", metavar="FILE", help="Manifest; else app_manifest.json of the folder."),
    ] = None,
    executables: Annotated[
        str,
        typer.Option(
            "--executables", metavar="PATHS", help="Comma-separated paths that may be run, beside the entry point."
        ),
    ] = "",
    hardware_definitions: Annotated[
        str,
        typer.Option(
            "--hardware-definitions",
            metavar="PATHS",
            help="Comma-separated definition files, shipped boards, and folders to look up imports in.",
        ),
    ] = "",
    component_id: Annotated[
        uuid.UUID | None, typer.Option("--component-id", metavar="ID", help="Replaces the manifest's ComponentId.")
    ] = None,
    runtime_version: Annotated[
        int, typer.Option("--runtime-version", min=1, metavar="N", help="Application runtime (ABI) version.")
    ] = RUNTIME_VERSION,
    os_abi: Annotated[
        str,
        typer.Option(
            "--os-abi", metavar="RANGE", help="OS ABI numbers it works on: 5 for 5 and later, 5-7; any by default."
        ),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Pack a folder into an image package.

    The folder holds an app_manifest.json, or --application-manifest names one.

    With --image-id and the environment variable SOURCE_DATE_EPOCH the same folder gives the same bytes.
    """
    files = read_folder(package_directory)
    if application_manifest is not None:
        files[MANIFEST_PATH] = read_file(application_manifest)
    key, certificate = made.signing_pair()
    data = application_package.pack(
        files,
        image_id=made.image_id,
        built=build_time(),
        key=key,
        certificate=certificate,
        executables=[path.lstrip("/") for path in _split(executables)],
        definitions=load_definitions(_split(hardware_definitions)),
        component_id=component_id,
        runtime_version=runtime_version,
        os_range=_os_range(os_abi),
    )
    made.write(data, as_json=as_json)
    note_hindrances(data)


@local_command(app, "pack-component")
def pack_component(
    *,
    chip: ChipOption,
    component: Annotated[str, typer.Option("--component", metavar="NAME", help="Boot component of the chip.")],
    input_file: Annotated[Path, typer.Option("--input-file", metavar="FILE", help="What the component is.")],
    made: Made,
    security_version: Annotated[
        int,
        typer.Option("--security-version", min=0, max=SECURITY_VERSION_LIMIT, metavar="N", help="Anti-rollback."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Pack a boot component of a chip.

    An OS release is made of one package for each: armillary release create --component NAME=FILE. The service signs
    them anew: armillary release sign.
    """
    profile = parse_profile(content.chip_document(chip))
    found = profile.boot_component(component)
    if found is None:
        names = ", ".join(each.name for each in profile.boot_components)
        raise NotFoundError(f"{chip} has no boot component {component!a:.60}", remedy=f"Use one of: {names}.")
    key, certificate = made.signing_pair()
    data = image_package.build(
        read_file(input_file),
        sections=image_package.standard_sections(
            image_type=found.image_type,
            component_id=found.component_id,
            image_id=made.image_id,
            name=found.name,
            built=build_time(),
            security_version=security_version,
        ),
        key=key,
        certificate=certificate,
        one_bl=OneBlBlock((0, 0, 0), 0, (0, 0, 0), security_version) if found.image_type == ONE_BL else None,
    )
    if len(data) > found.size_limit_bytes:
        raise InvalidArgumentError(
            f"{input_file}: expected a package of at most {found.size_limit_bytes} bytes (the slot of {found.name} on "
            f"{chip}), got {len(data)}",
            remedy="Make the component smaller.",
        )
    made.write(data, as_json=as_json)


@local_command(app, "pack-board-config")
def pack_board_config(
    *,
    input_file: Annotated[
        Path | None, typer.Option("--input-file", metavar="FILE", help="Board configuration to pack, JSON.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", metavar="NAME", help=f"One of: {', '.join(content.board_names())}.")
    ] = None,
    made: Made,
    as_json: JsonOption = False,
) -> None:
    """Pack what a board keeps from applications.

    A device takes it in a deployment, beside its applications; docs/reference/board-configuration.md has its format.
    """
    if (input_file is None) == (preset is None):
        raise InvalidArgumentError(
            "expected --input-file or --preset, got both or none of them", remedy="Name one of the two."
        )
    document = read_file(input_file) if input_file is not None else content.board_document(preset or "")
    found = board_configuration.parse(document)
    board_grant(found, platform_limits(parse_profile(content.chip_document(found.chip))))
    key, certificate = made.signing_pair()
    data = image_package.build(
        board_configuration.encode(found),
        sections=image_package.standard_sections(
            image_type=CUSTOMER_BOARD_CONFIG,
            component_id=found.component_id,
            image_id=made.image_id,
            name=found.name,
            built=build_time(),
        ),
        key=key,
        certificate=certificate,
    )
    made.write(data, as_json=as_json)


@app.command("show")
def show(
    image: Annotated[Path, typer.Option("--image-package", metavar="FILE", help="Image package to show.")],
    signing_certificate: Annotated[
        Path | None,
        typer.Option("--signing-certificate", metavar="FILE", help="Check the signature with this certificate (PEM)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what an image package says about itself.

    Also says whether its signature could be checked.
    """
    package = image_package.parse(read_file(image))
    record({**describe(package), "signature": _signature(package, signing_certificate)}).show(as_json=as_json)


def describe(package: UnverifiedImagePackage) -> dict[str, Any]:
    """A package's metadata, and its manifest and files when it is an application."""
    depends, compression = package.section(AbiDepends), package.section(Compression)
    record: dict[str, Any] = {
        "image_type": IMAGE_TYPES[package.image_type],
        "name": package.name,
        "component_id": str(package.component_id),
        "image_id": str(package.image_id),
        "built": dt.datetime.fromtimestamp(package.built, dt.UTC).isoformat() if package.built else None,
        "bytes": len(package.data),
        "sha256": package.digest.hex(),
        "security_version": package.security_version,
        "flags": [name for flag, name in TEMPORARY_FLAGS.items() if package.temporary_flags & flag],
        "depends": [f"{ABI_KINDS[abi.kind]}@{abi.version}" for abi in (depends.abis if depends else ())],
        "uncompressed_bytes": compression.uncompressed_bytes if compression else None,
        "algorithm": SIGNATURE_ALGORITHMS[package.signing_key.algorithm],
        "certificate_thumbprint": package.signing_key.thumbprint.hex(),
    }
    if package.image_type == CUSTOMER_BOARD_CONFIG and compression is None:
        return record | _described_board(package)
    if package.image_type != APPLICATIONS or compression is not None:
        return record
    try:
        application = application_package.open_unverified(package)
    except ArmillaryError as error:
        note(f"The application inside cannot be shown: {error.message}")
        return record
    manifest = application.manifest
    return {
        **record,
        "entry_point": manifest.entry_point,
        "application_type": manifest.application_type,
        "capabilities": app_manifest.capabilities_document(manifest.capabilities),
        "files": [f"{path} ({len(file.content)} bytes)" for path, file in application.filesystem.files.items()],
    }


def _described_board(package: UnverifiedImagePackage) -> dict[str, Any]:
    try:
        found = board_configuration.of_package(package)
    except ArmillaryError as error:
        note(f"The board configuration inside cannot be shown: {error.message}")
        return {}
    return {"chip": found.chip, "peripherals": app_manifest.capabilities_document(found.peripherals)}


def _signature(package: UnverifiedImagePackage, certificate: Path | None) -> str:
    """Check with the named certificate, which must fit, or with the development key, which may."""
    if certificate is not None:
        image_package.verify(package, [load_certificate(certificate)])
        return f"verified with {certificate}"
    if verify_own(package) is not None:
        return "verified with this user's development key"
    return "not checked: made by another key; name the signer's certificate with --signing-certificate"


def _os_range(text: str) -> OsRange | None:
    """The range that ``--os-abi`` names."""
    if not text:
        return None
    found = re.fullmatch(r"([1-9]\d{0,5})(?:-([1-9]\d{0,5}))?", text)
    lowest, highest = (0, 0) if found is None else (int(found[1]), int(found[2] or found[1]))
    if found is None or highest < lowest:
        raise InvalidArgumentError(
            f"--os-abi: expected a number or a range of numbers from 1 up, got {text!r}",
            remedy="Write --os-abi 5, or --os-abi 5-7.",
        )
    return OsRange(lowest, None if found[2] is None else highest)


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]

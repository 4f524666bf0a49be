# SPDX-License-Identifier: Apache-2.0
"""``armillary device sideload``: applications loaded by hand onto a device on this host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from cryptography.x509 import Certificate

from armillary import content
from armillary.boot.profile import parse as parse_profile
from armillary.capability.grant import platform_limits
from armillary.cli.release.development_key import development_folder, load_certificate
from armillary.cli.release.image_notes import note_hindrances
from armillary.cli.terminal.device_options import DataOption
from armillary.cli.terminal.files import read_file
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import note, noun, record
from armillary.device.applications.sideload import delete, deploy
from armillary.device.state.clock import DeviceClock
from armillary.device.state.configuration import load_configuration
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.file import FileFlash
from armillary.errors import SignatureError
from armillary.update.install.record import SlotImage
from armillary.wire.image import package as image_package
from armillary.wire.image.section import PACKAGE_LIMIT_BYTES

sideload = noun("Load applications by hand.")


@sideload.command("deploy")
def deploy_package(
    data: DataOption,
    package: Annotated[Path, typer.Option("--image-package", metavar="FILE", help="Application; - is stdin.")],
    certificate: Annotated[
        Path | None,
        typer.Option("--signing-certificate", metavar="FILE", help="Who signed it; your development key by default."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Install an application on a stopped device.

    The device's manufacturing state or capability file must allow it. A package that a developer
    signed runs as long as development is allowed.
    """
    packed = read_file(package, limit=PACKAGE_LIMIT_BYTES)
    folder = DeviceFolder(data)
    folder.check()
    now = DeviceClock(FileFlash(folder.flash)).now()
    _print(deploy(folder, packed, _developer(packed, certificate), now=now), as_json=as_json)
    chip = load_configuration(FileFlash(folder.flash)).chip
    note_hindrances(packed, platform_limits(parse_profile(content.chip_document(chip))))
    note(f"Start it: armillary device boot --data {data}")


@sideload.command("delete")
def delete_application(
    data: DataOption,
    component_id: Annotated[UUID, typer.Option("--component-id", metavar="ID", help="Component of the application.")],
    as_json: JsonOption = False,
) -> None:
    """Remove an application from a stopped device."""
    folder = DeviceFolder(data)
    folder.check()
    now = DeviceClock(FileFlash(folder.flash)).now()
    _print(delete(folder, component_id, now=now), as_json=as_json)


def _developer(packed: bytes, certificate: Path | None) -> Certificate | None:
    """The developer's certificate if it is his signature; None where somebody else signed, such as the service."""
    own = development_folder() / "signing.pem"
    if certificate is None and not own.exists():
        return None
    developer = load_certificate(certificate or own)
    try:
        image_package.verify(image_package.parse(packed), [developer])
    except SignatureError:
        if certificate is not None:
            raise
        return None
    return developer


def _print(image: SlotImage, *, as_json: bool) -> None:
    facts = {"name": image.name, "component_id": str(image.component_id), "image_id": str(image.image_id)}
    record(facts).show(as_json=as_json)

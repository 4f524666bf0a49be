# SPDX-License-Identifier: Apache-2.0
"""Applications for measurements of the sandbox: a program of the host, under a name of its own each."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from armillary.capability.grant import Grant
from armillary.capability.network import allowed_hosts
from armillary.device.applications.admission import Application
from armillary.engines.sandbox.port import Launch
from armillary.engines.sandbox.within.image_root import extract_image
from armillary.wire.image.app_manifest import AppManifest
from armillary.wire.image.asxipfs import Filesystem


def application(number: int, folder: Path, program: bytes) -> Application:
    """An application of one program, extracted below ``folder``."""
    component = UUID(int=0xBE0000 + number)
    extract_image({"bin/app": program}, {"bin/app"}, folder / str(component))
    name = f"bench-{number}"
    return Application(
        component_id=component,
        image_id=component,
        name=name,
        manifest=AppManifest(name=name, component_id=component, entry_point="/bin/app"),
        grant=Grant(component_id=component, hosts=allowed_hosts(())),
        filesystem=Filesystem({}),
    )


def launch(application_: Application, folder: Path) -> Launch:
    """How it is started."""
    root = folder / str(application_.component_id)
    return Launch(image_root=root, manifest=application_.manifest, grant=application_.grant, temporary=folder)

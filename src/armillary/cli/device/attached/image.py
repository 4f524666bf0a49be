# SPDX-License-Identifier: Apache-2.0
"""``armillary device image``: images of a running device, and those that the service wants on one."""

from __future__ import annotations

from typing import Any

from armillary.cli.device.attached.asking import HELP, AskedDevice, attached_command
from armillary.cli.terminal.device_reference import DeviceOption
from armillary.cli.terminal.output import Shown, noun, table
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.wire.image.naming import label_of
from armillary.wire.image.section import IMAGE_TYPES

app = noun(HELP)
image = noun("Images of a running device.", within=app, name="image")


@attached_command(image, "list-installed")
def _installed(device: AskedDevice) -> Shown:
    """List the images of a device, those of its OS among them."""
    rows = [_row(each) for each in device.get("images")["components"]]
    columns = ("name", "image_type", "component_id", "image_id", "size", "staged")
    return table(rows, columns, empty="No image.")


@remote_command(image, "list-targeted")
def _targeted(remote: RemoteService, device: DeviceOption) -> Shown:
    """List the images of a device's deployment.

    This asks the service. The device has them, or gets them at one of its next check-ins;
    show-deployment-status says why it lacks one.
    """
    found = remote.get(f"/devices/{segment(device)}/deployment")
    rows = [{**each, "name": label_of(each)} for each in found["images"] if each["wanted"]]
    return table(rows, ("name", "image_id", "installed", "state"), empty="Nothing is deployed to it.")


def _row(component: dict[str, Any]) -> dict[str, Any]:
    first = component["images"][0]
    return {
        "name": component["name"],
        "image_type": IMAGE_TYPES.get(component["image_type"], component["image_type"]),
        "component_id": component["uid"],
        "image_id": first["uid"],
        "size": first["length_in_bytes"],
        "staged": component["is_update_staged"],
    }

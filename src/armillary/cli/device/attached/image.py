# SPDX-License-Identifier: Apache-2.0
"""``armillary device image``: images of a running device."""

from __future__ import annotations

from typing import Any

from armillary.cli.device.attached.asking import HELP, AskedDevice, attached_command
from armillary.cli.terminal.output import Shown, noun, table

app = noun(HELP)
image = noun("Images of a running device.", within=app, name="image")


@attached_command(image, "list-installed")
def _installed(device: AskedDevice) -> Shown:
    """List the images of a device, those of its OS among them."""
    rows = [_row(each) for each in device.get("images")["components"]]
    columns = ("name", "image_type", "component_id", "image_id", "size", "staged")
    return table(rows, columns, empty="No image.")


def _row(component: dict[str, Any]) -> dict[str, Any]:
    first = component["images"][0]
    return {
        "name": component["name"],
        "image_type": component["image_type"],
        "component_id": component["uid"],
        "image_id": first["uid"],
        "size": first["length_in_bytes"],
        "staged": component["is_update_staged"],
    }

# SPDX-License-Identifier: Apache-2.0
"""What stands behind each device of the demo: a simulated machine on a serial line, and its guardian's image.

All cables are on a serial line, by Modbus RTU: one image serves every cable of the product, since it names the port of
a board and not the address of one machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from armillary.cli.guardian.story.pieces import (
    Packed,
    Piece,
    begin,
    image_of,
    packed,
    register,
    reported_of,
    values_of,
    wire,
)
from armillary.cli.guardian.story.site import CHIP, Site
from armillary.cli.story.catalog import claim
from armillary.cli.story.stage import DeviceOnStage

COFFEE: Final = "coffee_machine_guardian"
DISPENSER: Final = "sanitiser_dispenser"
CABLE: Final = "smart_cable"
MORE_CABLES: Final = ("smart_cable_2", "smart_cable_3")
CABLES: Final = (CABLE, *MORE_CABLES)
# Device -> its product.
PRODUCTS: Final[Mapping[str, str]] = {
    COFFEE: "Coffee machine guardian",
    DISPENSER: "Sanitiser dispenser",
    CABLE: "Smart cable",
    **dict.fromkeys(MORE_CABLES, "Smart cable"),
}
FIRST_DEVICES: Final = (COFFEE, DISPENSER, CABLE)
SPEED: Final = 10  # so many seconds pass in the coffee machine in one: a shot takes three
# Often enough that each scene sees its values within a second or two, rare enough for five guardians on two cores.
READ_EVERY_S: Final = 1.0
_CABLE: Final = Piece("cable1", "cable", "UART1", cloud=(("Site", "Harbour"),))
# Device -> the machine behind it, a module of it in the hub.
MACHINES: Final[Mapping[str, Piece]] = {
    COFFEE: Piece("espresso1", "coffee", "UART1", ("--speed", str(SPEED)), (("Store", "Harbour"),)),
    DISPENSER: Piece("dispenser1", "dispenser", "UART1", cloud=(("Ward", "Ward East"), ("Place", "Door 3"))),
    **dict.fromkeys(CABLES, _CABLE),
}
# What a build that is wrong has left out: its program does not start.
LEFT_OUT: Final = "lib/armillary/guardian/process.py"


def made_in(folder: Path) -> Site:
    """An empty stage, whose devices have room for a guardian's image."""
    return Site(folder, chip=CHIP)


def plug_in(stage: Site, devices: Iterable[str]) -> None:
    """Start the machines of devices; each is by the name of its device on the stage."""
    for name in devices:
        begin(stage, MACHINES[name], name)


def claim_and_wire(stage: Site, device: DeviceOnStage) -> None:
    """Claim a device into its product, with its machine on its serial port."""
    claim(stage, device, PRODUCTS[device.name])
    wire(stage, device, {device.name: MACHINES[device.name]})


def register_machine(stage: Site, device: DeviceOnStage) -> None:
    """Make the machine of a device a module of it in the hub; its template is there."""
    register(stage, device, MACHINES[device.name], stage.notes["templates"][MACHINES[device.name].machine])


def guardian_files(stage: Site, name: str) -> Mapping[str, bytes]:
    """The files of the image of a device's guardian."""
    piece = MACHINES[name]
    return image_of(stage, f"{piece.machine}_guardian", [piece], read_every_s=READ_EVERY_S).files


def guardian(stage: Site, name: str) -> Packed:
    """A new image of a device's guardian."""
    return packed(stage, guardian_files(stage, name))


def guardian_that_fails(stage: Site, name: str) -> Packed:
    """An image of a device's guardian whose build has left out a module."""
    return packed(stage, without_a_module(guardian_files(stage, name)))


def without_a_module(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of a guardian's image without one module that it needs."""
    return {path: content for path, content in files.items() if path != LEFT_OUT}


def values(stage: Site, device: DeviceOnStage) -> dict[str, Any]:
    """Last value of each metric of the machine behind a device."""
    return values_of(stage, device, MACHINES[device.name].name)


def reported(stage: Site, device: DeviceOnStage) -> Mapping[str, Any]:
    """What the machine behind a device reports of itself."""
    return reported_of(stage, device, MACHINES[device.name].name)

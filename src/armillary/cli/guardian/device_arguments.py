# SPDX-License-Identifier: Apache-2.0
"""Arguments of verbs about one piece of equipment of one guardian."""

from __future__ import annotations

from typing import Annotated

import typer

from armillary.cli.terminal.device_reference import DEVICE_HELP, REFERENCE

DeviceArgument = Annotated[str, typer.Argument(metavar="DEVICE", help=DEVICE_HELP, show_default=False), REFERENCE]
EquipmentArgument = Annotated[
    str, typer.Argument(metavar="EQUIPMENT", help="Name of the equipment: a module of the device.", show_default=False)
]

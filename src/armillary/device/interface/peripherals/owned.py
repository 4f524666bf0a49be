# SPDX-License-Identifier: Apache-2.0
"""Finds the peripheral that a call is about: granted to the application that asks, and its own since the boot."""

from __future__ import annotations

import errno
import re
from typing import Any

from armillary.capability.grant import Peripheral
from armillary.device.interface.method import Call
from armillary.device.peripherals.ownership import PeripheralMap
from armillary.device.peripherals.use import PeripheralUse
from armillary.engines.peripherals.port import TRANSFER_LIMIT_BYTES
from armillary.wire.image.manifest_field import GPIO_PIN_LIMIT

_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_NAME_LIMIT = 64


class OwnedPeripherals:
    """What the files of rows about peripherals have in common."""

    def __init__(self, use: PeripheralUse, owners: PeripheralMap) -> None:
        self.use = use
        self._owners = owners

    def pin(self, call: Call) -> Peripheral:
        """The pin of a call, by its parameter ``pin``."""
        return self._owned(call, "Gpio", str(call.parameters.integer("pin", 0, GPIO_PIN_LIMIT)))

    def named(self, call: Call, kind: str, parameter: str) -> Peripheral:
        """The bus or controller of a call, by the board's name in a parameter."""
        return self._owned(call, kind, call.parameters.text(parameter, most=_NAME_LIMIT))

    def _owned(self, call: Call, kind: str, name: str) -> Peripheral:
        """A peripheral of the application that asks.

        Raises OSError: EACCES, which is reported, for one that it was not granted; EBUSY for one that is another's.
        """
        found = Peripheral(kind=kind, name=name)
        grant = call.session.grant
        if found not in grant.peripherals:
            named = sorted((each.name for each in grant.peripherals if each.kind == kind), key=_as_counted)
            raise call.not_granted(kind, f"{kind} {name}", named)
        if self._owners.owner(found) != grant.component_id:
            raise OSError(errno.EBUSY, f"{kind} {name} is another application's until the device starts again")
        return found


def _as_counted(name: str) -> tuple[int, str]:
    """Pins have numbers: 9 comes before 10."""
    return len(name), name


def data_of(call: Call, parameter: str) -> bytes:
    """Bytes in lower-case hex, none where the parameter is missing."""
    text = call.parameters.text(parameter, most=2 * TRANSFER_LIMIT_BYTES, default="")
    if not _HEX.fullmatch(text):
        raise call.parameters.refused(parameter, "bytes in lower-case hex, such as 0fa0", text)
    return bytes.fromhex(text)


def answered(use: PeripheralUse, peripheral: Peripheral, **result: Any) -> dict[str, Any]:
    """A result, which says so where no hardware gave it."""
    return {**result, "simulated": True} if use.is_simulated(peripheral) else result

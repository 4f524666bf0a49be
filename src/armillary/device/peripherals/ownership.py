# SPDX-License-Identifier: Apache-2.0
"""The map of peripherals: which application owns which, from a boot on.

It is set when the applications of a boot are loaded. From then on a device that is complete and not open for
development gives no peripheral another owner, nor one to a peripheral that had none: a new set that needs it makes the
device start again, so that no application ever drives what another has set up. What an application leaves stays
without an owner until then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from uuid import UUID

from armillary.capability.grant import Grant, Peripheral


class PeripheralMap:
    """The owners of one boot; ``is_locked`` is asked at every change."""

    def __init__(self, is_locked: Callable[[], bool] = lambda: False) -> None:
        self._is_locked = is_locked
        self._owners: dict[Peripheral, UUID] | None = None
        self.needs_restart = False  # a set waits for a map that this boot does not give

    def assign(self, grants: Iterable[Grant]) -> bool:
        """Make a set of applications the owners; False where the map is locked and the set needs another."""
        wanted = {peripheral: each.component_id for each in grants for peripheral in each.peripherals}
        if self._owners is not None and self._is_locked():
            if not wanted.items() <= self._owners.items():
                self.needs_restart = True
                return False
            return True
        self._owners = wanted
        return True

    def owner(self, peripheral: Peripheral) -> UUID | None:
        """Component that owns a peripheral, None where it has no owner."""
        return None if self._owners is None else self._owners.get(peripheral)

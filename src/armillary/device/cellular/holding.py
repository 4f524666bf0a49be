# SPDX-License-Identifier: Apache-2.0
"""Has a device keep its uplink up while it runs: tells the device's journal and status, and has it check in at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from armillary.device.cellular.status import UplinkStatus
from armillary.device.cellular.uplink import CellularUplink
from armillary.device.state.journal import Journal


@contextlib.contextmanager
def held_uplink(
    uplink: CellularUplink, journal: Journal, changed: Callable[[], None], came_up: Callable[[], None]
) -> Iterator[None]:
    """Run the uplink until the block ends.

    Needs a running loop, in which ``changed`` is called with each new status, and ``came_up`` when a session came up.
    """
    loop = asyncio.get_running_loop()
    told = Telling(journal, changed, came_up)

    def hear(status: UplinkStatus) -> None:  # in the uplink's thread
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(told.hear, status)

    unheard = uplink.listen(hear)
    uplink.start()
    try:
        yield
    finally:
        unheard()
        uplink.stop()


class Telling:
    """Tells what has changed since the status before. States on the way up last for moments: no journal has them."""

    def __init__(self, journal: Journal, changed: Callable[[], None], came_up: Callable[[], None]) -> None:
        self._journal = journal
        self._changed = changed
        self._came_up = came_up
        self._was_up = False
        self._written = ""

    def hear(self, status: UplinkStatus) -> None:
        """This is the status now."""
        if status.is_settled and status.sentence != self._written:
            self._written = status.sentence
            self._journal.write("cellular", **_told(status))
        self._changed()
        is_new, self._was_up = status.is_up and not self._was_up, status.is_up
        if is_new:
            self._came_up()


def _told(status: UplinkStatus) -> dict[str, object]:
    """For the journal, which the service may ask for: nothing that names subscriber, SIM or modem."""
    reception = status.reception
    return {
        "state": status.state.value,
        "meaning": status.sentence,
        "sim": status.sim.value,
        "operator": reception.operator,
        "technology": reception.technology.value,
        "signal_dbm": reception.dbm,
        "interface": status.interface,
        "address": status.address,
        "model": status.modem.model,
    }

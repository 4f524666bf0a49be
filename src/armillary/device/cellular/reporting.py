# SPDX-License-Identifier: Apache-2.0
"""Tells the service what the modem is like, after each check-in: some hundred bytes, for data through it costs money.

Nothing of it is kept and nothing is sent again: the next check-in has the next one. One follows at once when a session
has come up.
"""

from __future__ import annotations

from typing import Final, Protocol

from armillary.device.cellular.states import UplinkState
from armillary.device.cellular.status import UplinkStatus
from armillary.device.cellular.uplink import CellularUplink
from armillary.device.state.journal import Journal
from armillary.errors import ArmillaryError, RateLimitedError, ServiceUnreachableError
from armillary.wire.device.cellular_status import MAX_MINUS_DBM, MAX_SESSIONS, CellularStatus, encode_status

S = UplinkState
# Where states that last for moments lead, if all goes well.
_ON_THE_WAY_TO: Final = {
    S.CHECKING_SIM: S.SEARCHING,
    S.ENTERING_PIN: S.SEARCHING,
    S.CHECKING_PIN: S.SEARCHING,
    S.REGISTERED: S.LOST,
    S.ATTACHED: S.LOST,
}


class StatusEndpoint(Protocol):
    """Where it is sent."""

    async def send_cellular_status(self, data: bytes) -> None:
        """Send a status. Raises as ``device/checkin/endpoint.py``."""


# After refusals in a row 1, 2, 4, ... check-ins are left out, at most so many: devices check in once a day or oftener,
# so a service that was updated hears of the modem within weeks, and one that was not costs next to nothing.
MOST_LEFT_OUT: Final = 16


class CellularReports:
    """Of one boot; a service that refuses one is asked again, after more and more check-ins."""

    def __init__(self, uplink: CellularUplink, journal: Journal) -> None:
        self._uplink = uplink
        self._journal = journal
        self._pause = 0  # check-ins that are left out after a refusal
        self._left = 0  # of them, still to come

    async def send(self, endpoint: StatusEndpoint) -> None:
        """Say what is so now."""
        if self._left:
            self._left -= 1
            return
        try:
            await endpoint.send_cellular_status(encode_status(told(self._uplink)))
        except (RateLimitedError, ServiceUnreachableError):
            return
        except ArmillaryError as error:  # a service of before has no such address
            if not self._pause:
                self._journal.write("cellular-status-refused", code=error.code, reason=error.message)
            self._pause = self._left = min(2 * self._pause or 1, MOST_LEFT_OUT)
        else:
            self._pause = 0


def told(uplink: CellularUplink) -> CellularStatus:
    """What the service needs: nothing that names subscriber, SIM or modem."""
    status, traffic = uplink.status, uplink.traffic
    return CellularStatus(
        state=_ON_THE_WAY_TO.get(status.state, status.state).value,
        sim=status.sim.value,
        registration=status.registration.value,
        operator=status.reception.operator,
        technology=status.reception.technology.value,
        signal_dbm=_strength(status),
        sessions=min(status.sessions, MAX_SESSIONS),
        bytes_received=traffic.received,
        bytes_sent=traffic.sent,
    )


def _strength(status: UplinkStatus) -> int | None:
    dbm = status.reception.dbm
    return None if dbm is None else max(min(dbm, 0), -MAX_MINUS_DBM)

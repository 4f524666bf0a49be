# SPDX-License-Identifier: Apache-2.0
"""What a simulated modem finds around it, and in its slot: the SIM, the network, and how the modem itself behaves."""

from __future__ import annotations

from dataclasses import dataclass

PIN_TRIES = 3  # then only the PUK helps (3GPP TS 31.101 §9.3)
PUK_TRIES = 10

HOME, ROAMING, SEARCHING, DENIED, IDLE = "home", "roaming", "searching", "denied", "idle"
REGISTRATIONS = {IDLE: 0, HOME: 1, SEARCHING: 2, DENIED: 3, ROAMING: 5}


@dataclass(slots=True, kw_only=True)
class Radio:
    """All that a script may change; numbers of countries and networks are those for tests (ITU-T E.212: 001).

    Attributes:
        has_sim: Whether a SIM is in the slot.
        pin: What the SIM wants; empty for none.
        registration: What the network does with this SIM: home, roaming, searching, denied, idle.
        technology: <AcT> of 27.007: 7 is LTE, 9 NB-IoT.
        attach_refused, session_refused: Whether the network refuses these.
        access_point: The only one that the network knows; empty for any.
        address, mask, gateway, name_servers: What a session is given; without an address the interface asks by DHCP.
        slow_s: How long each answer waits.
        is_silent: Whether the modem answers nothing at all.
        is_garbled: Whether bytes that are none of its stand between its answers.
    """

    has_sim: bool = True
    pin: str = ""
    registration: str = HOME
    operator: str = "Armillary simulated"
    operator_digits: str = "00101"
    technology: int = 7
    signal_dbm: int = -85
    attach_refused: bool = False
    session_refused: bool = False
    access_point: str = ""
    address: str = "10.0.2.15"
    mask: str = "255.255.255.0"
    gateway: str = "10.0.2.2"
    name_servers: str = "10.0.2.3"
    slow_s: float = 0.0
    is_silent: bool = False
    is_garbled: bool = False

    @property
    def status(self) -> int:
        """<stat> of 27.007 §7.2."""
        return REGISTRATIONS[self.registration]

    @property
    def is_in_network(self) -> bool:
        """Whether a network has taken it in."""
        return self.registration in (HOME, ROAMING)

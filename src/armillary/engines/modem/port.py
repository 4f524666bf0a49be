# SPDX-License-Identifier: Apache-2.0
"""What a device asks of a modem, whatever language it speaks. Every call blocks, as long as the engine lets it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from armillary.errors import HostError
from armillary.wire.modem.answers import Addressing, Registered
from armillary.wire.modem.commands import Authentication
from armillary.wire.modem.radio import SimState, Technology


class ModemGoneError(HostError):
    """It does not answer, or was pulled out: it has to be opened again."""

    code = "host.modem-gone"
    remedy = "Connect the modem, and switch it on; the device opens it again by itself."


class ModemRefusedError(HostError):
    """It answers that it does not do this; ``number`` is that of +CME ERROR, if it has one."""

    code = "host.modem-refused"
    remedy = "Look at the SIM, its contract and the coverage; the uplink tries again by itself."

    def __init__(self, asked: str, number: int | None, text: str) -> None:
        super().__init__(f"the modem refuses {asked}: {text}")
        self.number = number


class ModemStoppedError(HostError):
    """Whoever waits for the modem was told to stop."""

    code = "host.modem-stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModemIdentity:
    """Which modem, and which SIM, it is; empty where it does not say. A subscriber's number (IMSI) is not asked for."""

    maker: str = ""
    model: str = ""
    imei: str = ""
    iccid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPoint:
    """Where a data session goes to; the password is in no repr."""

    name: str = ""
    authentication: Authentication = Authentication.NONE
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """The network that the modem hears."""

    operator: str = ""
    technology: Technology = Technology.UNKNOWN
    dbm: int | None = None


class Modem(Protocol):
    """One modem that is open; whoever opened it closes it.

    Each call raises ModemGoneError where it does not answer, ModemStoppedError when told to stop, and where it is said
    ModemRefusedError.
    """

    def identity(self) -> ModemIdentity:
        """What it says of itself and of its SIM."""

    def sim(self) -> SimState:
        """What the SIM wants."""

    def enter_pin(self, pin: str) -> None:
        """Give the SIM its PIN; ModemRefusedError where it is wrong. Nobody asks twice with the same one."""

    def search(self, operator: str) -> None:
        """Have it register, in this network only unless it is empty; ModemRefusedError."""

    def registration(self) -> Registered:
        """Where it is registered."""

    def reception(self) -> Reception:
        """Operator, technology and strength."""

    def attach(self, access_point: AccessPoint) -> None:
        """Get the packet service of the network; ModemRefusedError."""

    def start_session(self) -> Addressing | None:
        """Bring the data session up; what the network gave it, None where its interface asks by DHCP.

        ModemRefusedError where modem or network refuse.
        """

    def session_is_up(self) -> bool:
        """Whether the data session is still there."""

    def end_session(self) -> None:
        """End the data session; one that is not there is no failure."""

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until something happens: returns whether the modem said something of interest."""

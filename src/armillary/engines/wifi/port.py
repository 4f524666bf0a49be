# SPDX-License-Identifier: Apache-2.0
"""What a radio can: be told which networks it may be in, say where it is and why not elsewhere, look around."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from armillary.wire.wifi.events import CertificateRefused, WifiError
from armillary.wire.wifi.network import Network
from armillary.wire.wifi.replies import Neighbour


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """The network that a radio is in (its id), by which access point, and the address it has there, if it has one."""

    network: int
    bssid: str
    frequency: int
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a radio did not get into a network; ``certificate`` is what was wrong with the network's own."""

    error: WifiError
    certificate: CertificateRefused | None = None


# Told with the id of a network that was joined, or which the radio is not in any more (None).
Listener = Callable[[int | None], None]


class Radio(Protocol):
    """One radio. Its methods may block for seconds and may be called from any thread.

    Each raises HostError where the radio, or the program that drives it, does not answer.
    """

    @property
    def interface(self) -> str:
        """Its name as an interface of the network."""

    @property
    def mode(self) -> str:
        """``station``, or ``simulated`` for a pretended radio."""

    @property
    def hardware_address(self) -> str:
        """Six bytes in hex with colons."""

    def listen(self, listener: Listener) -> None:
        """Have this told from now on, in a thread of the radio's."""

    def use(self, networks: Sequence[Network], *, saves_power: bool) -> None:
        """Be in one of these networks and in no other; what is known already and as it was stays joined."""

    def reload(self) -> None:
        """Forget failures and join again."""

    def connection(self) -> Connection | None:
        """The network that it is in now."""

    def scan(self) -> tuple[Neighbour, ...]:
        """The access points around, the strongest first."""

    def failures(self) -> Mapping[int, Failure]:
        """Why it is not in a network that it may be in, by the network's id; nothing of those it has not tried yet."""

    def close(self) -> None:
        """Leave every network and end what was started."""

# SPDX-License-Identifier: Apache-2.0
"""What one device process is told at its start, and keeps nowhere: times, nodes and addresses of this host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from armillary.capability.board import Board
from armillary.capability.device_addresses import LOOPBACK, DeviceAddresses
from armillary.device.boot.sandbox_test import BeginTest, begin_sandbox_test
from armillary.device.rest.settings import RestSettings
from armillary.update.install.trial import DEFAULT_RULES, TrialRules

if TYPE_CHECKING:
    from armillary.device.cellular.uplink import CellularUplink
    from armillary.engines.flash.port import Flash
    from armillary.engines.wifi.port import Radio

RETRY_FIRST_S = 2.0
RETRY_LIMIT_S = 300.0  # a device that lost its service looks for it every five minutes at least


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """Times of one device process; waits in seconds, the first and the longest after failed check-ins.

    ``trial`` says when a new set of images is confirmed or taken back; ``mirrors`` are addresses of folders that have
    the files of the update repository as well; ``serial_ports`` has the node of this host for the board's name of each
    serial port, ``board`` says what its other peripherals are; ``addresses`` are those at which the server ports of
    applications are reached; ``private_network`` is the interface at which applications may serve addresses and the
    time, None for none; ``begin_test`` begins the sandbox's self-test, or gives the one that has begun
    (``device/boot/late_sandbox.py`` has one that settles for no weaker engine); ``rest`` says where the device's own
    API listens, None for nowhere; ``radio`` opens the Wi-Fi radio, None for none; ``uplink`` makes the uplink through a
    cellular modem, with the device's flash, None for none.
    """

    trial: TrialRules = DEFAULT_RULES
    retry_first_s: float = RETRY_FIRST_S
    retry_limit_s: float = RETRY_LIMIT_S
    mirrors: tuple[str, ...] = ()
    serial_ports: Mapping[str, Path] = field(default_factory=dict)
    addresses: DeviceAddresses = LOOPBACK
    rest: RestSettings | None = None
    board: Board | None = None
    private_network: str | None = None
    begin_test: BeginTest = begin_sandbox_test
    radio: Callable[[], Radio] | None = None
    uplink: Callable[[Flash], CellularUplink] | None = None

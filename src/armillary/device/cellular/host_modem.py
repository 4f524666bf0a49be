# SPDX-License-Identifier: Apache-2.0
"""A modem of this host that ``armillary device boot`` names. Small: every device loads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from armillary.device.private_network.naming import named_interface
from armillary.errors import InvalidArgumentError

if TYPE_CHECKING:
    from armillary.device.cellular.uplink import CellularUplink, OpenModem
    from armillary.engines.flash.port import Flash


QMI = "qmi:"  # before a port: the modem speaks QMI there, and no AT commands


@dataclass(frozen=True, slots=True)
class HostModem:
    """Where its commands go, and the interface that its session comes out of; None: other programs use the session."""

    port: Path
    interface: str | None
    speaks_qmi: bool = False

    def __call__(self, flash: Flash) -> CellularUplink:
        """The uplink, not started yet. Which name servers this host asks is left to the host."""
        from armillary.device.cellular.configuration import CellularConfiguration  # noqa: PLC0415 - most have no modem
        from armillary.device.cellular.interface import UplinkInterface  # noqa: PLC0415
        from armillary.device.cellular.uplink import CellularUplink  # noqa: PLC0415

        interface = None if self.interface is None else UplinkInterface(self.interface, resolver=None)
        return CellularUplink(
            lambda: self.port, CellularConfiguration(flash), interface, open_modem=_engine(speaks_qmi=self.speaks_qmi)
        )


def host_modem(port: str | None, interface: str | None) -> HostModem | None:
    """The modem that ``--modem-port`` and ``--modem-interface`` name; None where neither is given.

    A port that is not there may come later.

    Raises:
        InvalidArgumentError: the port is there and is no character device, the interface has no name of one, or is
            given without a port.
    """
    found = named_interface("--modem-interface", interface)
    if port is None:
        if found is not None:
            raise InvalidArgumentError(
                "--modem-interface: expected --modem-port beside it", remedy="Name the modem: --modem-port NODE."
            )
        return None
    node = Path(port.removeprefix(QMI))
    if not node.is_absolute() or (node.exists() and not node.is_char_device()):
        raise InvalidArgumentError(
            f"--modem-port: expected the node of a modem, got {port!r:.80}",
            remedy="Name a character device: /dev/ttyUSB2 for AT commands, qmi:/dev/cdc-wdm0 for QMI; a simulated one: "
            "armillary sim modem.",
        )
    return HostModem(node, found, port.startswith(QMI))


def _engine(*, speaks_qmi: bool) -> OpenModem:
    """What opens the modem; the other one is not loaded."""
    if speaks_qmi:
        from armillary.engines.modem.qmi import open_qmi_modem  # noqa: PLC0415 - see above

        return open_qmi_modem
    from armillary.engines.modem.at import open_at_modem  # noqa: PLC0415

    return open_at_modem

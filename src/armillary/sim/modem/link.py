# SPDX-License-Identifier: Apache-2.0
"""The network interface of a virtual machine that stands for its modem's: its link is there while the session is.

QEMU switches it by ``set_link`` of its machine protocol (QMP), over a socket that it listens at.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, Final

from armillary.errors import HostError

ANSWER_S: Final = 30.0  # an emulated machine that starts is slow
_MAX_LINE_BYTES: Final = 64 * 1024


class QemuLink:
    """The link of one card.

    Args:
        machine: QEMU's socket.
        card: The id of the card, or of its netdev.
    """

    def __init__(self, machine: Path, card: str) -> None:
        self._machine = machine
        self._card = card

    def switch(self, is_up: bool) -> None:  # noqa: FBT001 - a modem's callback
        """Plug the card in, or pull it out; HostError where QEMU does not answer."""
        try:
            with socket.socket(socket.AF_UNIX) as stream:
                stream.settimeout(ANSWER_S)
                stream.connect(str(self._machine))
                with stream.makefile("rb") as lines:
                    lines.readline(_MAX_LINE_BYTES)  # its greeting
                    self._ask(stream, lines, "qmp_capabilities", {})
                    self._ask(stream, lines, "set_link", {"name": self._card, "up": is_up})
        except (OSError, ValueError) as error:
            raise HostError(
                f"{self._machine}: QEMU does not switch {self._card}: {error}", remedy="Is the machine still on?"
            ) from error

    @staticmethod
    def _ask(stream: socket.socket, lines: Any, command: str, arguments: dict[str, Any]) -> None:
        stream.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while line := lines.readline(_MAX_LINE_BYTES):
            said = json.loads(line)
            if "error" in said:
                raise ValueError(said["error"].get("desc", "no reason"))
            if "return" in said:  # events come between
                return
        raise ValueError("it ended the connection")

# SPDX-License-Identifier: Apache-2.0
"""Tells other parts of the process what devices do; they subscribe before the hub listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from armillary.wire.hub.telemetry import Telemetry


class HubNotices:
    """Lists of callbacks of one hub. They are called in the order of the lists, must be quick and must not raise.

    Attributes:
        on_message: A message was committed and decoded: number of its device, values, place in the log, Unix
            milliseconds of its arrival. In the hub's loop, and in the closing thread for what is decoded last.
        on_slice: A slice of decoding is over; in the hub's loop.
        on_twin: Tags, desired or reported properties of a device were committed, or all of it was forgotten; in any
            thread.
        on_model: A device announced the model it follows: device and model id. In a thread that may block.
        on_connect: A device is connected; in the hub's loop.
        on_disconnect: A device is not connected any more, and why in a word (``link/reasons.py``); in the hub's loop.
        on_end: The hub has decoded its last message, and still holds its folder; in a thread that may block.
    """

    def __init__(self) -> None:
        self.on_message: list[Callable[[int, Telemetry, int, int], None]] = []
        self.on_slice: list[Callable[[], None]] = []
        self.on_twin: list[Callable[[str], None]] = []
        self.on_model: list[Callable[[str, str], None]] = []
        self.on_connect: list[Callable[[str], None]] = []
        self.on_disconnect: list[Callable[[str, str], None]] = []
        self.on_end: list[Callable[[], None]] = []

    def message(self, device: int, telemetry: Telemetry, seq: int, received_ms: int) -> None:
        """A message was decoded."""
        for call in self.on_message:
            call(device, telemetry, seq, received_ms)

    def slice_ended(self) -> None:
        """A slice of decoding is over."""
        for call in self.on_slice:
            call()

    def twin_changed(self, device_id: str) -> None:
        """A device's twin was changed."""
        for call in self.on_twin:
            call(device_id)

    def model_announced(self, device_id: str, model_id: str) -> None:
        """A device announced its model."""
        for call in self.on_model:
            call(device_id, model_id)

    def connected(self, device_id: str) -> None:
        """A device is connected."""
        for call in self.on_connect:
            call(device_id)

    def disconnected(self, device_id: str, reason: str) -> None:
        """A device is not connected any more."""
        for call in self.on_disconnect:
            call(device_id, reason)

    def ended(self) -> None:
        """The last message is decoded; each is told once."""
        calls, self.on_end = self.on_end, []
        for call in calls:
            call()

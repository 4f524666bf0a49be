# SPDX-License-Identifier: Apache-2.0
"""Calls other parts of the process for what devices do; they subscribe before the hub listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVarTuple

if TYPE_CHECKING:
    from armillary.wire.hub.telemetry import Telemetry

Arguments = TypeVarTuple("Arguments")


class Notice(list[Callable[[*Arguments], None]], Generic[*Arguments]):
    """Callbacks for one kind of event, called in the order of the list; they must be quick and must not raise."""

    def __call__(self, *arguments: *Arguments) -> None:
        """Call all of them."""
        for call in self:
            call(*arguments)


class HubNotices:
    """The events of one hub."""

    def __init__(self) -> None:
        # A message was committed and decoded: number of its device, values, number of its block in the log, arrival in
        # Unix milliseconds. In the hub's loop, and in the closing thread for what is decoded last.
        self.on_message: Notice[int, Telemetry, int, int] = Notice()
        # The same for a message that waited at its sender: what it says was so, and need not be so any more.
        self.on_historical: Notice[int, Telemetry, int, int] = Notice()
        self.on_slice: Notice[()] = Notice()  # A slice of decoding is over; in the hub's loop
        # Tags, desired or reported properties of a device were committed, or all of it was forgotten; in any thread.
        self.on_twin: Notice[str] = Notice()
        self.on_model: Notice[str, str] = Notice()  # A device announced its model: both ids; in a thread that may block
        self.on_connect: Notice[str] = Notice()  # A device is connected; in the hub's loop
        # A device is not connected any more, and why in a word (``link/reasons.py``); in the hub's loop.
        self.on_disconnect: Notice[str, str] = Notice()
        # A device's connection was ended by a newer one of its own: its id, and the addresses of both; as on_connect.
        self.on_put_out: Notice[str, str, str] = Notice()
        # The hub has decoded its last message, and still holds its folder; in a thread that may block.
        self.on_end: Notice[()] = Notice()

    def end(self) -> None:
        """Call ``on_end``, once however often this is called."""
        calls, self.on_end = self.on_end, Notice()
        calls()

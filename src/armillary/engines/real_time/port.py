# SPDX-License-Identifier: Apache-2.0
"""The port of real-time cores: load one application's firmware into a core, run it, hear it, stop it.

A loader is given a launch as a sandbox is: ``image_root`` has the image's files, and the manifest's entry point names
the firmware in it. What it has to do:

- load the firmware into a free core and start it; how many there are is decided before (``real_time_cores`` of the
  chip, ``capability/grant.py``);
- turn what the core prints into OutputLine events of stream ``stdout``;
- end :meth:`RunningApplication.wait` when the core stops, with the fault and its registers in ``ExitStatus.core``;
- hold the core in reset after :meth:`RunningApplication.stop`;
- carry the core's mailbox to channels and back, which it asks for at the socket ``launch.interface`` by the method
  ``application.connect``: the device decides there, for both kinds of applications alike.

``emulated.py`` has the core in a process of the device; ``beside.py`` reaches cores outside of this Linux by a channel.
One for silicon would speak the channel's protocol, or write the firmware and ``start`` to Linux' remoteproc
(``/sys/class/remoteproc/remoteprocN``) and carry the mailbox over rpmsg; no core in silicon was tried.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from armillary.engines.sandbox.port import AppEvent, Launch, RunningApplication


class RealTimeCores(Protocol):
    """A way to run real-time applications."""

    @property
    def kind(self) -> str:
        """What the core is: said in every report."""
        ...

    async def start(self, launch: Launch, on_event: Callable[[AppEvent], None]) -> RunningApplication:
        """Load and start an application; ``on_event`` is called in this loop's thread.

        Raises:
            InstallError: the image has no firmware that fits into a core.
            SandboxUnavailableError: the host lacks what runs a core.
        """
        ...

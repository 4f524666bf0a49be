# SPDX-License-Identifier: Apache-2.0
"""What a machine's firmware started, against the operating system that the device's own log names (part of step 20).

The log of a boot is written by the operating system that runs: an older release, rightly signed and started from a
slot where nobody expects it, could name the packages of a newer one. The firmware measured what it started into PCR 4,
and the TPM's quote covers that. So where the log names a package of which is known what a firmware measures of it, one
of these measurements has to be there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from armillary.attest.firmware_reference import LOADER_PCR, MAX_KNOWN, measured
from armillary.attest.tpm_quote import sentence
from armillary.errors import WireError
from armillary.wire.attestation.event_log import BootEvent
from armillary.wire.attestation.firmware_log import FirmwareLog

# Kind of a reference value (``firmware_reference``) and its digest: one form of what a firmware measures of a loader.
Loader = tuple[str, bytes]
_OTHER: Final = (
    "PCR 4 (boot loader): the firmware did not start the {} that the log of this boot names; another operating system "
    "runs than it says."
)
_TWO: Final = (
    "PCR 4 (boot loader): the loader of another release than that of the {} that the log of this boot names was "
    "measured, too; another operating system runs than it says, or the firmware first started one that gave up."
)


class StartedSystems:
    """What a firmware measures of each package that it can start. Belongs to one event loop: it takes no lock."""

    __slots__ = ("_all", "_known", "_loaders")

    def __init__(self, loaders: Mapping[bytes, Collection[Loader]]) -> None:
        """``loaders``: SHA-256 of a package to what is measured of it; any one of these is enough."""
        self._loaders = {package: frozenset(found) for package, found in loaders.items() if found}
        self._all: frozenset[Loader] = frozenset().union(*self._loaders.values())
        self._known: dict[bytes, frozenset[Loader]] = {}  # PCR values -> what was measured into PCR 4

    def fault(self, firmware: FirmwareLog, events: Iterable[BootEvent]) -> str:
        """What does not fit, in words; empty if all does, or nothing is known of the packages in the boot's log.

        Args:
            firmware: A log whose PCR values a verified quote covers.
            events: Of the boot's log, verified.
        """
        named = [event for event in events if event.digest in self._loaders]
        if not named:
            return ""
        started = self._started(firmware)
        if isinstance(started, str):
            return started
        other = next((event for event in named if not started & self._loaders[event.digest]), None)
        if other is not None:
            return _OTHER.format(other.component)
        others = self._all.difference(*(self._loaders[event.digest] for event in named))
        return "" if started.isdisjoint(others) else _TWO.format(named[0].component)

    def _started(self, firmware: FirmwareLog) -> frozenset[Loader] | str:
        found = self._known.get(firmware.pcr_values)
        if found is None:
            try:
                found = frozenset((value.kind, value.digest) for value in measured(firmware) if value.pcr == LOADER_PCR)
            except WireError as error:  # not cached: another log may fit the same values
                return sentence(error)
            if len(self._known) >= MAX_KNOWN:
                self._known.pop(next(iter(self._known)))
            self._known[firmware.pcr_values] = found
        return found

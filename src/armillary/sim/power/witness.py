# SPDX-License-Identifier: Apache-2.0
"""Judges what a simulated device runs, by the bytes alone: it asks neither the device nor its install record.

Three promises, and how each is broken:

* *brick*: after power comes back the device does not get as far as its check-in;
* *wrong image*: something was started that the maker did not sign, or below the security version that this device had
  confirmed, or parts that were never wanted together;
* *not converged*: the device does not come to the set that is wanted, leaves packages behind that nothing names, or the
  service is not told what came of its offer.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping

from armillary.sim.power.supply import Contents, Genuine, Supply


class Breach(enum.StrEnum):
    """Which promise was broken."""

    BRICK = "brick"
    WRONG_IMAGE = "wrong-image"
    NOT_CONVERGED = "not-converged"


class BrokenPromiseError(Exception):
    """The device did what it must never do. Ends the simulation of this device, not the campaign."""

    def __init__(self, breach: Breach, detail: str) -> None:
        super().__init__(f"{breach}: {detail}")
        self.breach = breach
        self.detail = detail


class Witness:
    """Watches one device.

    Only the ``legal`` sets may run. ``floor`` is the OS version whose boot the device had confirmed before: nothing
    below its security version may start.
    """

    def __init__(self, supply: Supply, legal: Collection[Contents], floor: int) -> None:
        self._supply = supply
        self._legal = legal
        self._floor = floor
        self._os: Contents = frozenset()
        self.running: Contents = frozenset()

    def booted(self, packages: Mapping[str, bytes]) -> None:
        """The boot ROM started these components. BrokenPromiseError if it must not have."""
        started = {name: self._signed(data, name) for name, data in packages.items()}
        for name, genuine in started.items():
            if genuine.security_version < self._floor:
                version = genuine.security_version
                raise BrokenPromiseError(
                    Breach.WRONG_IMAGE,
                    f"{name} with security version {version} was started after {self._floor} was confirmed",
                )
        self._os = frozenset((name, genuine.version) for name, genuine in started.items())

    def started(self, applications: Collection[bytes]) -> None:
        """The device runs the packages of these applications. BrokenPromiseError if they are no legal set."""
        found = [self._signed(data, "an application") for data in applications]
        self.running = self._os | {(genuine.part, genuine.version) for genuine in found}
        if self.running not in self._legal:
            raise BrokenPromiseError(Breach.WRONG_IMAGE, f"the set {described(self.running)} runs and was never wanted")

    def _signed(self, data: bytes, what: str) -> Genuine:
        genuine = self._supply.genuine.get(data)
        if genuine is None or (isinstance(genuine.part, str) and genuine.part != what):
            raise BrokenPromiseError(Breach.WRONG_IMAGE, f"what was started as {what} is not signed as that")
        return genuine


def described(contents: Contents) -> str:
    """A set in words: the OS versions that occur, then the applications."""
    versions = sorted({version for part, version in contents if isinstance(part, str)})
    applications = sorted((part, version) for part, version in contents if not isinstance(part, str))
    names = [f"OS {'+'.join(f'1.{version}' for version in versions)}"]
    names += [f"application {part} version {version}" for part, version in applications]
    return ", ".join(names)

# SPDX-License-Identifier: Apache-2.0
"""Brings pinned Debian packages into the store: from a folder, or from this host's sources and then from the archive.

All packages are one call of apt. A mirror keeps the newest version only: what it has no more comes from the archive of
all versions (``snapshot.py``).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from armillary.device_image.architecture.package_lists import apt_options
from armillary.device_image.kept.alone import work_folder
from armillary.device_image.package_sources import apt, snapshot
from armillary.device_image.recipe import Pin
from armillary.device_image.tools import digest_of, run
from armillary.errors import HostError, InvalidArgumentError

# Packages that an error names: an image has more than a hundred.
_NAMED: Final = 5
# In the store: packages that come, until each was seen to be the pinned one.
_INCOMING: Final = "incoming"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where packages come from.

    ``folder`` is the only place if it is given. Else this host's sources are asked, then the archive at ``archive``.
    ``told`` hears of every package that the sources have no more.
    """

    folder: Path | None = None
    archive: str = snapshot.ADDRESS
    told: Callable[[str], None] = field(default=lambda _line: None)

    def check(self) -> None:
        """InvalidArgumentError if there is no such folder."""
        if self.folder is not None and not self.folder.is_dir():
            raise InvalidArgumentError(
                f"--packages: expected a folder, got {self.folder}", remedy="Name the folder with the .deb files."
            )


class _Store:
    """Where packages are kept by their digest, and which of the wanted ones are lacking; a damaged one is removed."""

    def __init__(self, folder: Path, pins: Iterable[Pin]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.pins = {pin.name: pin for pin in pins}
        for pin in self.pins.values():
            if self.place(pin).exists() and digest_of(self.place(pin)) != pin.sha256:
                self.place(pin).unlink()

    def place(self, pin: Pin) -> Path:
        return self.folder / f"{pin.sha256}.deb"

    def lacking(self) -> list[Pin]:
        return [pin for pin in self.pins.values() if not self.place(pin).exists()]

    def take(self, incoming: Path, origin: str) -> None:
        """Move packages here, ``NAME.deb`` or ``NAME_VERSION_ARCHITECTURE.deb``; HostError for one that is another."""
        for file in sorted(incoming.glob("*.deb")):
            pin = self.pins[file.stem.partition("_")[0]]
            if digest_of(file) != pin.sha256:
                raise HostError(
                    f"{pin.name} {pin.version}: the package that was fetched from {origin} is not the pinned one "
                    f"({pin.sha256[:16]})",
                    remedy="Whoever served it changed it, or the pin is wrong: compare with another mirror.",
                )
            file.rename(self.place(pin))


def fetch(pins: Iterable[Pin], store: Path, *, architecture: str, places: Places | None = None) -> dict[str, Path]:
    """Bring packages into ``store``, where they are kept by their digest; name -> file. No other process works there.

    Raises:
        HostError: a package is nowhere to be had (code ``host.packages-missing``), or a file is not the pinned one.
        InvalidArgumentError: the folder lacks a package, or there is no such folder.
    """
    chosen = places or Places()
    chosen.check()
    kept = _Store(store, pins)
    if kept.lacking():
        if chosen.folder is not None:
            _from_folder(kept, chosen.folder)
        else:
            options = apt_options(architecture, store)
            with work_folder(store / _INCOMING) as incoming:
                reason = _from_sources(kept, incoming, architecture, options)
                _from_archive(kept, incoming, architecture, chosen, reason)
    return {name: kept.place(pin) for name, pin in kept.pins.items()}


def newest(names: Iterable[str], store: Path, *, architecture: str, kernel: str) -> list[Pin]:
    """Pins of the versions that are offered now; the packages are kept in ``store``.

    ``kernel`` is the package that needs the newest kernel; the pin is that of the kernel itself.

    Raises:
        HostError: a package is not offered.
    """
    store.mkdir(parents=True, exist_ok=True)
    options = apt_options(architecture, store, fresh=True)
    wanted = [*names, apt.newest_kernel(kernel, options)]
    return _pinned([f"{each}:{architecture}" for each in wanted], store, options)


def in_version(names: Iterable[str], version: str, store: Path, *, architecture: str) -> list[Pin]:
    """Pins of packages in one version; the packages are kept in ``store``.

    Raises:
        HostError: a package is not offered in it.
    """
    store.mkdir(parents=True, exist_ok=True)
    return _pinned([f"{name}:{architecture}={version}" for name in names], store, apt_options(architecture, store))


def _pinned(wanted: list[str], store: Path, options: list[str]) -> list[Pin]:
    """Fetch packages, in apt's words, and pin what came."""
    pins = []
    with work_folder(store / _INCOMING) as incoming:
        apt.download(wanted, incoming, options)
        for file in sorted(incoming.glob("*.deb")):
            found, version = run(["dpkg-deb", "--show", "--showformat=${Package} ${Version}", file]).decode().split()
            pins.append(Pin(found, version, digest_of(file)))
            file.rename(store / f"{pins[-1].sha256}.deb")
    return pins


def _from_folder(kept: _Store, folder: Path) -> None:
    """Copy what is lacking from a folder, whatever the files are called."""
    wanted = {pin.sha256: pin for pin in kept.lacking()}
    with work_folder(kept.folder / _INCOMING) as incoming:
        for file in sorted(folder.glob("*.deb")):
            pin = wanted.get(digest_of(file))
            if pin is not None:
                shutil.copyfile(file, incoming / f"{pin.name}.deb")
        kept.take(incoming, str(folder))
    lacking = [f"{pin.name} {pin.version} ({pin.sha256[:16]})" for pin in kept.lacking()]
    if lacking:
        more = f", and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
        raise InvalidArgumentError(
            f"{folder}: no file is the pinned {', the pinned '.join(lacking[:_NAMED])}{more}",
            remedy="Bring them there from a host that has them (.image/cache/debian), or build without --packages.",
        )


def _from_sources(kept: _Store, incoming: Path, architecture: str, options: list[str]) -> str:
    """Fetch what this host's sources have, in one call where they have all; returns why something is lacking."""
    reason = ""
    asked = kept.lacking()
    for _ in range(2):  # apt fetches nothing if one version is gone: what is still listed is asked for once more
        try:
            apt.download([f"{pin.name}:{architecture}={pin.version}" for pin in asked], incoming, options)
        except HostError as error:
            reason = error.message
        kept.take(incoming, "this host's sources")
        asked = apt.offered(kept.lacking(), options) if kept.lacking() else []
        if not asked:
            break
    return reason


def _from_archive(kept: _Store, incoming: Path, architecture: str, places: Places, reason: str) -> None:
    """Fetch what is still lacking from the archive; the first that is not there is an error with both places' words."""
    for pin in kept.lacking():
        places.told(f"{pin.name} {pin.version}: not at this host's sources any more, asking {places.archive}")
        try:
            snapshot.fetch(pin, incoming, address=places.archive, architecture=architecture)
        except HostError as error:
            raise HostError(
                f"{pin.name} {pin.version} is not to be had: this host's sources: {reason or 'not fetched'}; "
                f"{error.message}",
                remedy="If the lists are old: sudo apt-get update. If the version is gone: armillary image pin takes "
                "what is offered now. From another host: --packages DIR; another archive: --snapshot URL.",
                code="host.packages-missing",
            ) from error
        kept.take(incoming, places.archive)

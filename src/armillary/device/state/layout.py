# SPDX-License-Identifier: Apache-2.0
"""The data folder of one device.

::

    layout.json             {"layout": 1}
    creation.json           only while the device is made: with which options, for a creation that is continued
    lock                    held (flock) by the process that is this device; holds its process id
    root-of-trust/          secret and boot counter (engines.root_of_trust)
    flash/                  regions (engines.flash.file):
        device/configuration    what manufacture left on the device
        device/reports          error reports waiting for the service
        device/time             last signed time
        device/hub              address of the hub
        device/minimums         lowest security versions that may boot
        device/manufacturing-state  name of the state (permission.py)
        device/capability       capability file that was selected (permission.py)
        device/developers       certificates of developers (device/applications/sideload.py)
        device/certificates     certificate store (certificate_store.py)
        device/network          proxy, interfaces that were switched (network_configuration.py)
        device/wifi             Wi-Fi networks (wifi_configuration.py)
        boot/<component>        boot component packages
        install/record.0, .1    the install record's two copies
        applications/<component id>/<a|b>   application packages
        repository/<role>.json  trusted metadata of the update repository (metadata_store.py)
        repository/directive-version    of the last directive that was taken
        downloads/<digest>/<n>  pieces of downloads under way (device/repository/partial.py)
    daa/                    24-hour certificate for applications (device/checkin/daa.py)
    mutable/<component id>/ mutable storage of applications; <component id>.ext4 where it is a file system of its own
    rest/                   authority of the device's own API (device/rest/authority.py)
    run/                    what can be made again: extracted images, applications' temporary folders and sockets
                            (device/interface/interface.py); emptied at every start
    log/                    the device's log, and whose it is
    pwm-exports.json        PWM channels that it has exported, for the start after it was killed (engines.peripherals)
    power-profile.json      how the host's power was before an application set it, likewise (engines.host)
    status.json             state for people and scripts, replaced atomically
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from armillary.engines.durable import PARTIAL_SUFFIX, write_file
from armillary.errors import DataFolderError, DataFolderInUseError

LAYOUT = 1  # 1: 2026-11-24, first
CREATION = "creation.json"
# In the folder of a machine that boots the device image (``device boot --machine``), which keeps its device on it.
MACHINE_DISK = "disk.img"


class DeviceFolder:
    """Paths of a device's data folder; see the module docstring.

    They are absolute: what starts an application works in another folder than this process.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.root_of_trust = self.root / "root-of-trust"
        self.flash = self.root / "flash"
        self.daa = self.root / "daa"
        self.mutable = self.root / "mutable"
        self.rest = self.root / "rest"
        self.run = self.root / "run"
        self.log = self.root / "log"
        self.status = self.root / "status.json"
        self.power_before = self.root / "power-profile.json"
        self.exports = self.root / "pwm-exports.json"
        self.lock = self.root / "lock"

    def create(self) -> None:
        """Make an empty device folder; DataFolderError if it holds a device or cannot be written."""
        marker = self.root / "layout.json"
        if marker.exists():
            raise DataFolderError(
                f"{self.root}: a device lives here already",
                remedy="Choose another folder with --data, or start this device: armillary device boot.",
            )
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            names = {entry.name for entry in self.root.iterdir() if not _is_unfinished(entry.name)} - {"lock"}
            if names and CREATION not in names:
                raise DataFolderError(
                    f"{self.root}: expected an empty folder", remedy="Choose an empty folder with --data."
                )
        except OSError as error:
            raise DataFolderError(
                f"{self.root}: {error.strerror or error}", remedy="Choose a folder you may write to."
            ) from error

    @contextlib.contextmanager
    def made_for_good(self) -> Iterator[None]:
        """As :meth:`create`; where what is done in it fails and leaves nothing, the folder is as it was before."""
        was_there, was_held = self.root.exists(), self.lock.exists()
        self.create()
        try:
            yield
        except BaseException:
            with contextlib.suppress(OSError):  # it has what a creation that can be gone on with has left
                if not was_held and [*self.root.iterdir()] == [self.lock]:
                    self.lock.unlink()
                if not was_there:
                    self.root.rmdir()
            raise

    def is_finished(self) -> bool:
        """Whether the folder holds a device whose creation came to its end."""
        return (self.root / "layout.json").exists()

    def begin_creation(self, options: Mapping[str, object]) -> bool:
        """Record the options with which a device is made; True when an earlier creation with them was cut short.

        Call it while the folder is held. DataFolderError if the earlier one had other options.
        """
        path = self.root / CREATION
        noted = json.dumps(dict(options), sort_keys=True).encode()
        try:
            earlier = path.read_bytes()
        except FileNotFoundError:
            write_file(path, noted, mode=0o600)
            return False
        if earlier != noted:
            raise DataFolderError(
                f"{self.root}: an earlier creation was cut short: {earlier.decode('utf-8', 'replace'):.200}",
                remedy="Continue it with the same options, or choose an empty folder with --data.",
            )
        return True

    def begun_with(self) -> Mapping[str, object] | None:
        """The options of a creation that was cut short; None where there is none, or what it noted is damaged."""
        try:
            found = json.loads((self.root / CREATION).read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def forget_creation(self) -> None:
        """Remove what a creation that was cut short has left, its note last; call it while the folder is held."""
        for entry in self.root.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry not in (self.lock, self.root / CREATION):
                entry.unlink()
        (self.root / CREATION).unlink(missing_ok=True)

    def finish_creation(self) -> None:
        """Mark the folder as a device, the last step of creation: a folder without the mark is half made.

        The mark is there whole or not at all, whenever the power goes.
        """
        write_file(self.root / "layout.json", json.dumps({"layout": LAYOUT}).encode(), mode=0o600)
        (self.root / CREATION).unlink(missing_ok=True)

    def check(self) -> None:
        """Raise DataFolderError unless the folder holds a finished device of this layout."""
        try:
            layout = json.loads((self.root / "layout.json").read_bytes())["layout"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            if os.path.exists(self.root / MACHINE_DISK):  # noqa: PTH110 - it answers where this user may not look
                raise DataFolderError(
                    f"{self.root}: expected a process that is a device, got a machine, whose device is on its disk",
                    remedy="Start it: armillary device boot --machine NAME. Ask the service of its device: armillary "
                    "device show, log or list; or the machine itself, by its --service-link.",
                ) from error
            raise DataFolderError(
                f"{self.root}: no device here (layout.json is missing or unreadable)",
                remedy="Make one first: armillary device create --data DIR --service URL --token TOKEN.",
            ) from error
        if layout != LAYOUT:
            raise DataFolderError(
                f"{self.root}: expected layout {LAYOUT}, got {layout!r}",
                remedy="Use the Armillary version that made this folder, or make a new device.",
            )

    def clear_run(self) -> None:
        """Empty the folder of things that can be made again."""
        shutil.rmtree(self.run, ignore_errors=True)
        self.run.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Be the only process of this device; DataFolderInUseError if another is.

        The kernel releases the lock when the process ends, however it ends.
        """
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DataFolderInUseError(
                    f"{self.root}: process {self.holder() or '?'} is this device already"
                ) from error
            with contextlib.suppress(OSError):  # on a full disk nobody reads who holds it
                os.ftruncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode())
            yield
        finally:
            os.close(descriptor)

    def holder(self) -> int | None:
        """Process id of the process that is this device now, or None when nobody holds the folder."""
        try:
            descriptor = os.open(self.lock, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                text = os.read(descriptor, 32)
                return int(text) if text.isdigit() else None
            return None
        finally:
            os.close(descriptor)


def _is_unfinished(name: str) -> bool:
    """Whether it is what :func:`replace_file` or :func:`write_file` leaves when it is killed."""
    return (name.startswith(".") and name.endswith(".new")) or name.endswith(PARTIAL_SUFFIX)


def replace_file(path: Path, data: bytes, *, mode: int) -> None:
    """Put a file in place, whole, for what is *not* kept in flash: status, certificates for applications.

    Not synced: after a power cut the file is made again by the running device.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - the descriptor carries the mode
        file.write(data)
    fresh.replace(path)

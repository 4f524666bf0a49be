# SPDX-License-Identifier: Apache-2.0
"""The process wpa_supplicant of one radio, and the files that it reads."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

from armillary.engines.host.ended_with import ended_with_us
from armillary.engines.wifi.control import ControlSocket
from armillary.errors import HostError
from armillary.wire.wifi.network import Network

NAME: Final = "wpa_supplicant"
SEARCH_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
DRIVER: Final = "nl80211"
START_S: Final = 20.0
STOP_S: Final = 5.0
_LOOK_S: Final = 0.05


class SupplicantProgram:
    """One wpa_supplicant, its control socket and its files below ``folder``, which this user alone enters."""

    def __init__(self, folder: Path, interface: str, *, driver: str = DRIVER) -> None:
        self.interface = interface
        self.control = folder / "control"
        self._files = folder / "certificates"
        self._folder = folder
        self._driver = driver
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """Whether it runs."""
        process = self._process
        return process is not None and process.poll() is None

    def start(self) -> None:
        """Start it; one that an earlier device process left is ended first.

        It ends with the thread that calls this, however that ends (``engines/host/ended_with.py``).

        Raises:
            HostError: it is missing, ends at once, or does not listen in time.
        """
        program = shutil.which(NAME, path=SEARCH_PATH)
        if program is None:
            raise HostError(f"{NAME}: not found", remedy="Install it: sudo apt-get install wpasupplicant.")
        try:
            self._prepare_folder()
            self._process = subprocess.Popen(  # noqa: S603 - wpa_supplicant, with our arguments
                [
                    *ended_with_us(signal.SIGTERM),
                    *(program, "-D", self._driver, "-i", self.interface, "-C", str(self.control)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise HostError(
                f"{NAME} does not start for {self.interface}: {error}", remedy="Look at the folder, and at its disk."
            ) from error
        self._wait_until_it_listens(self._process)

    def _prepare_folder(self) -> None:
        """Make the folder anew, without who used it before."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        self._end_left_over()
        self.clear()
        for each in (self.control, self._files):
            each.mkdir(mode=0o700)

    def write_files(self, network: Network) -> dict[str, str]:
        """Write the files of a network; their paths by wpa_supplicant's word for each."""
        found = {}
        for word, content in network.files().items():
            path = self._files / f"{network.id}-{word}.pem"
            path.unlink(missing_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as file:  # noqa: PTH123 - of a descriptor
                file.write(content)
            found[word] = str(path)
        return found

    def remove_files(self, network: int) -> None:
        """Remove the files of a network, by its id."""
        for path in self._files.glob(f"{network}-*.pem"):
            path.unlink(missing_ok=True)

    def stop(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def clear(self) -> None:
        """Remove its socket and files."""
        for each in (self.control, self._files):
            shutil.rmtree(each, ignore_errors=True)

    def _end_left_over(self) -> None:
        """End the one of a device process that was killed."""
        if not (self.control / self.interface).exists():
            return
        with contextlib.suppress(HostError), contextlib.closing(ControlSocket(self.control, self.interface)) as left:
            left.ask("TERMINATE")
            ends_at = time.monotonic() + STOP_S
            while (self.control / self.interface).exists() and time.monotonic() < ends_at:
                time.sleep(_LOOK_S)

    def _wait_until_it_listens(self, process: subprocess.Popen[bytes]) -> None:
        ends_at = time.monotonic() + START_S
        while process.poll() is None and time.monotonic() < ends_at:
            with contextlib.suppress(HostError), contextlib.closing(self._client()) as client:
                if client.ask("PING") == "PONG":
                    return
            time.sleep(_LOOK_S)
        self.stop()
        raise HostError(
            f"{NAME} does not start for {self.interface}",
            remedy=f"Look what it says: {NAME} -D {self._driver} -i {self.interface} -C DIR.",
        )

    def _client(self) -> ControlSocket:
        return ControlSocket(self.control, self.interface)

# SPDX-License-Identifier: Apache-2.0
"""Opens the interface of each running application: a socket in a folder that only the device can enter.

The folder is ``run/app`` of the device's own. Where that path is too long for a socket address (unix(7): 108 bytes), it
is a folder of the same rights below the host's temporary folder, named after the device's: what a device that was
killed left there is removed at its next start.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path

from armillary.device.applications.port import Run
from armillary.device.interface.door import Door
from armillary.device.interface.session import Session
from armillary.device.interface.table import MethodTable
from armillary.device.interface.work import THREADS, Work
from armillary.device.state.journal import Journal
from armillary.device.state.report_limit import ReportLimit

PATH_LIMIT_BYTES = 100  # of sockaddr_un's 108, with room for a name of some digits


class ApplicationInterface:
    """The interface of all applications of one device (``device/applications/port.py``).

    ``make_table`` is called with the first application: a device without one loads none of the methods.
    """

    def __init__(
        self,
        run_folder: Path,
        make_table: Callable[[], MethodTable],
        journal: Journal,
        monotonic: Callable[[], float],
    ) -> None:
        self._folder = socket_folder(run_folder)
        self._make_table = make_table
        self._journal = journal
        self._monotonic = monotonic
        self._numbers = itertools.count(1)
        self._reports = ReportLimit()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="interface")

    @cached_property
    def _table(self) -> MethodTable:
        return self._make_table()

    @contextlib.asynccontextmanager
    async def open(self, run: Run) -> AsyncIterator[Path | None]:
        """See ``Interface``; a host that refuses the socket leaves the application without, and the log says so."""
        session = Session(run, Work(self._threads, self._monotonic))
        path = self._folder / f"{next(self._numbers)}.sock"
        door = Door(path, session, self._table, self._monotonic, partial(self._refused, run.application.name))
        opened: Path | None = None
        try:
            try:
                make_private(self._folder)
                door.open()
                opened = path
            except OSError as error:
                self._journal.write("interface-not-opened", name=run.application.name, reason=str(error))
            yield opened
        finally:
            await door.close()
            session.close()

    def _refused(self, name: str, reason: str) -> None:
        """Say why a connection was ended; of many of an application some are said."""
        if self._reports.take(name, int(self._monotonic())):
            self._journal.write("interface-closed", name=name, reason=reason)


@contextlib.contextmanager
def no_sockets_left(run_folder: Path) -> Iterator[None]:
    """Remove the folder, and what a device that was killed has left in it, before and after the device runs."""
    _remove(run_folder)
    try:
        yield
    finally:
        _remove(run_folder)


def _remove(run_folder: Path) -> None:
    """Remove the folder, unless it is somebody else's or a link: opening an interface there says so."""
    folder = socket_folder(run_folder)
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        stack.callback(os.close, descriptor)
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            return
        for left in os.listdir(descriptor):  # noqa: PTH208 - a Path has no descriptor
            os.unlink(left, dir_fd=descriptor)
        folder.rmdir()


def socket_folder(run_folder: Path) -> Path:
    """Where the sockets of the device with this folder are; the same at every start."""
    own = run_folder / "app"
    if len(os.fsencode(own)) < PATH_LIMIT_BYTES:
        return own
    name = hashlib.sha256(os.fsencode(own)).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"armillary-app-{os.geteuid()}-{name}")


def make_private(folder: Path) -> None:
    """Make a folder that nobody else may enter, or check that it is one.

    Raises:
        OSError: it cannot be made, or somebody else made it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder}: expected a folder of user {os.geteuid()} that nobody else may enter")

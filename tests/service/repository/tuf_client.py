# SPDX-License-Identifier: Apache-2.0
"""python-tuf's own client, unmodified, over the repository's folder: another implementation judges what we publish."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from armillary.service.repository.tuf_format import moment


class FolderFetcher(FetcherInterface):
    """Serves a folder as a web server would."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = self._folder / url.removeprefix("folder://")
        if not path.is_file():
            raise DownloadHTTPError("missing", 404)
        yield path.read_bytes()


class Client:
    """A device's view: trusts ``root``, keeps its metadata in ``home``."""

    def __init__(self, folder: Path, home: Path, root: bytes, now: int) -> None:
        home.mkdir(exist_ok=True)
        self._arguments = (folder, home, root)
        self.now = now

    def refreshed(self) -> Updater:
        """A client that has fetched the metadata in force; raises tuf's errors."""
        folder, home, root = self._arguments
        (home / "targets").mkdir(exist_ok=True)
        first = not (home / "root.json").exists()
        updater = Updater(
            str(home),
            "folder://metadata/",
            str(home / "targets"),
            "folder://targets/",
            FolderFetcher(folder),
            bootstrap=root if first else None,
        )
        updater._trusted_set.reference_time = moment(self.now)
        updater.refresh()
        return updater

    def fetch(self, path: str) -> bytes | None:
        """The artifact of a target path, verified; None where no role vouches for it."""
        updater = self.refreshed()
        info = updater.get_targetinfo(path)
        return None if info is None else Path(updater.download_target(info)).read_bytes()

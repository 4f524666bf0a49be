# SPDX-License-Identifier: Apache-2.0
"""Static files under names that carry their content's hash, so that they can be kept by a browser for a year.

``style.css`` is served as ``/static/style.<first 16 hex of SHA-256>.css``. Files are read once, when the console
is created; only names in that table are ever served, so no path from outside touches the disk. Modules that import a
neighbour (``from "./paint.js"``) get its hashed name put in, so that a browser never mixes two versions.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response

from armillary.console.packing import takes_gzip
from armillary.errors import NotFoundError

STATIC_PATH = "/static/"
# A name is only as good as its hash: 64 bits cannot collide by accident, and nobody chooses the files but us.
HASH_HEX = 16
MEDIA_TYPES: Mapping[str, str] = {
    ".bin": "application/octet-stream",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
# Lists the files of the map, each with the address that it is asked for by.
MAP_INDEX = "map/index.json"
YEAR_S = 365 * 24 * 3600
_IMPORT = re.compile(rb'(from|import) "\./([a-z-]+\.js)"')
_FILE = re.compile(rb'"(map/[a-z0-9]+\.bin)"')


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file as it is sent."""

    path: str
    media_type: str
    plain: bytes
    packed: bytes


class Assets:
    """The table of static files, by plain name (for templates) and by hashed name (for the browser)."""

    def __init__(self, sources: Mapping[str, bytes]) -> None:
        self._by_name: dict[str, Asset] = {}
        for name in sorted(sources):
            self._add(name, sources)
        self._by_file = {asset.path.removeprefix(STATIC_PATH): asset for asset in self._by_name.values()}

    @classmethod
    def load(cls) -> Assets:
        """Read ``console/static`` of the installed package; licences and lists are not served."""
        return cls(dict(_walk(files("armillary.console") / "static", "")))

    def _add(self, name: str, sources: Mapping[str, bytes]) -> bytes:
        """Enter a file after those that it imports; its hashed name."""
        if name not in self._by_name:
            content = sources[name]
            if name.endswith(".js") and not name.startswith("vendor/"):
                content = _IMPORT.sub(
                    lambda found: found[1] + b' "./' + self._add(found[2].decode(), sources) + b'"', content
                )
            if name == MAP_INDEX:
                content = _FILE.sub(
                    lambda found: b'"' + STATIC_PATH.encode() + self._add(found[1].decode(), sources) + b'"', content
                )
            self._by_name[name] = _asset(name, content)
        return self._by_name[name].path.removeprefix(STATIC_PATH).encode()

    def url(self, name: str) -> str:
        """Address of a file for a template.

        Raises:
            NotFoundError: the template names a file that does not exist.
        """
        if name not in self._by_name:
            raise NotFoundError(f"static file {name!r} does not exist", remedy="Correct the template.")
        return self._by_name[name].path

    def respond(self, request: Request) -> Response:
        """Send one file, compressed when the browser takes gzip.

        Raises:
            NotFoundError: no file has this hashed name.
        """
        asset = self._by_file.get(request.path_params["file"])
        if asset is None:
            raise NotFoundError("no such file", remedy="Reload the page; the console was updated.")
        headers = {"Cache-Control": f"public, max-age={YEAR_S}, immutable", "Vary": "Accept-Encoding"}
        if takes_gzip(request.headers.get("accept-encoding", "")):
            headers["Content-Encoding"] = "gzip"
            return Response(asset.packed, media_type=asset.media_type, headers=headers)
        return Response(asset.plain, media_type=asset.media_type, headers=headers)


def _asset(name: str, content: bytes) -> Asset:
    stem, dot, extension = name.rpartition("/")[2].rpartition(".")
    digest = hashlib.sha256(content).hexdigest()[:HASH_HEX]
    packed = gzip.compress(content, 9, mtime=0)
    return Asset(f"{STATIC_PATH}{stem}.{digest}{dot}{extension}", MEDIA_TYPES[dot + extension], content, packed)


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        elif any(entry.name.endswith(extension) for extension in MEDIA_TYPES):
            found.append((prefix + entry.name, entry.read_bytes()))
    return found

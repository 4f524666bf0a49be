# SPDX-License-Identifier: Apache-2.0
"""Packages that a tool has brought and not installed yet, as files in the folder that every start empties."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from cryptography.x509 import Certificate

from armillary.device.applications.by_hand import parse_application
from armillary.device.state.request_refused import RequestRefusedError
from armillary.errors import InstallError, SignatureError, WireError
from armillary.wire.device import azure_error
from armillary.wire.image import package as image_package

MAX_STAGED: Final = 16


@dataclass(frozen=True, slots=True)
class Staged:
    """One package: its image, its size, its file."""

    component_id: UUID
    image_id: UUID
    size: int
    path: Path


class Staging:
    """The staged packages of one boot; ``limit_bytes`` is for all of them together."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._found: dict[UUID, Staged] = {}
        self._arriving: dict[Path, int] = {}  # bytes that have come of those that are not checked yet

    @property
    def staged(self) -> tuple[Staged, ...]:
        """What waits, in the order that it came; of each component the newest."""
        return tuple(self._found.values())

    async def put(self, chunks: AsyncIterator[bytes], signers: Sequence[Certificate]) -> Staged:
        """Take a package that one of the signers has signed.

        RequestRefusedError with Azure Sphere's number where it is none, not trusted, or there is no room.
        """
        path = self._folder / f"{uuid4()}.imagepackage"
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(path.unlink, missing_ok=True)
            try:
                size = await self._write(path, chunks)
                component_id, image_id = await asyncio.to_thread(_check, path, signers)
            finally:
                self._arriving.pop(path, None)
            found = Staged(component_id, image_id, size, path)
            earlier = self._found.pop(component_id, None)
            if earlier is not None:
                earlier.path.unlink(missing_ok=True)
            if len(self._found) >= MAX_STAGED:
                raise _full(f"{MAX_STAGED} packages are staged already")
            self._found[component_id] = found
            cleanup.pop_all()
        return found

    def packages(self) -> list[bytes]:
        """The bytes of all staged packages."""
        return [each.path.read_bytes() for each in self.staged]

    def clear(self) -> None:
        """Forget what is staged: it was installed, or cannot be."""
        for each in self.staged:
            each.path.unlink(missing_ok=True)
        self._found.clear()

    async def _write(self, path: Path, chunks: AsyncIterator[bytes]) -> int:
        """Write what comes, off the event loop; returns its size. What comes beside it has its part of the room."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        size = 0
        with path.open("xb") as file:
            async for chunk in chunks:
                size += len(chunk)
                self._arriving[path] = size
                if sum(each.size for each in self.staged) + sum(self._arriving.values()) > self._limit_bytes:
                    raise _full(f"{self._limit_bytes} bytes may be staged at a time")
                await asyncio.to_thread(file.write, chunk)
        return size


def _check(path: Path, signers: Sequence[Certificate]) -> tuple[UUID, UUID]:
    try:
        package = parse_application(path.read_bytes())
        image_package.verify(package, signers)
    except SignatureError as error:
        raise RequestRefusedError(azure_error.IMAGE_NOT_TRUSTED, error.message, remedy=error.remedy) from error
    except (WireError, InstallError) as error:
        raise RequestRefusedError(azure_error.NO_IMAGE_PACKAGE, error.message, remedy=error.remedy) from error
    return package.component_id, package.image_id


def _full(message: str) -> RequestRefusedError:
    return RequestRefusedError(azure_error.NO_ROOM, message, remedy="Install what is staged, or restart the device.")

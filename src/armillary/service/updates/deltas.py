# SPDX-License-Identifier: Apache-2.0
"""Deltas for devices: made when the first device asks, kept in the cache, one making for all that ask.

Which artifact a device may start from is decided here, from what it reported: an image of its catalog that it has, or a
component of an OS release for its chip. Everything else has no delta: what two artifacts share would tell a device
about one that it has no business with. A device without a delta fetches the whole artifact, so nothing here is an
error; there is no delta, or none yet.

A delta is made in a process of its own (``engines/delta/maker.py``), one at a time for each event loop.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import Connection

from armillary.engines.delta.cache import DeltaCache
from armillary.engines.records.queries import images as image_rows, releases as release_rows
from armillary.engines.records.store import Records
from armillary.engines.threads import in_thread
from armillary.errors import DataFolderError, RateLimitedError
from armillary.service.context.blobs import Blobs

MAKER: Final = "armillary.engines.delta.maker"
# A request waits this long for its delta: an application's takes less than a second.
WAIT_S: Final = 5.0
RETRY_S: Final = 10
# Deltas that wait for their turn; beyond, devices fetch whole artifacts: they would have theirs before their turn came.
MAX_WAITING: Final = 64
# Of these by one device, so that none takes the turns of all: an OS release and applications that come together.
MAX_WAITING_OF_DEVICE: Final = 8
# The longest making; an OS image of 290 MB takes two minutes of a core.
MAKING_TIMEOUT_S: Final = 1800.0
# A pair that could not be made is not tried again by this process: its files are damaged, or the disk is full.
MAX_FAILED: Final = 1024
MAX_REASON_CHARS: Final = 300

_log = structlog.get_logger("armillary.service.updates.deltas")


@dataclass(frozen=True, slots=True)
class Pair:
    """Where a delta starts and what it makes, by SHA-256."""

    source: bytes
    target: bytes


@dataclass(frozen=True, slots=True)
class Asker:
    """The device that asks: its catalog, its chip, and the images that it reported, as the records have them."""

    device_id: str
    catalog_id: UUID | None
    chip: str
    installed: str


@dataclass(eq=False)
class Deltas:
    """The deltas of one event loop; several loops and processes share the folder of the ``cache``."""

    records: Records
    blobs: Blobs
    cache: DeltaCache
    _making: dict[Pair, asyncio.Task[None]] = field(default_factory=dict, init=False)
    _begun_by: dict[Pair, str] = field(default_factory=dict, init=False)  # the device that asked first
    _failed: dict[Pair, None] = field(default_factory=dict, init=False)
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1), init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _closed: bool = field(default=False, init=False)

    async def find(self, asker: Asker, pair: Pair) -> Path | None:
        """The file of a delta for a device to which the target is offered; None where it has to fetch the whole.

        Raises:
            RateLimitedError: the delta is being made.
        """
        if not await in_thread(lambda: self._may_start(asker, pair.source)):
            return None
        found = self.cache.find(pair.source, pair.target)
        if found is None and not await self._made(asker.device_id, pair):
            return None
        found = found or self.cache.find(pair.source, pair.target)
        return found if found is not None and found.stat().st_size else None

    async def close(self) -> None:
        """End what is being made."""
        self._closed = True
        for task in tuple(self._making.values()):
            task.cancel()
        if self._process is not None:
            self._process.kill()
        await asyncio.gather(*self._making.values(), return_exceptions=True)

    async def _made(self, device_id: str, pair: Pair) -> bool:
        """Wait for the making of a pair, which is begun if need be; False where it will not come."""
        if pair in self._failed or not self.cache.limit_bytes:
            return False
        task = self._making.get(pair)
        if task is None:
            own = sum(begun_by == device_id for begun_by in self._begun_by.values())
            if len(self._making) >= MAX_WAITING or own >= MAX_WAITING_OF_DEVICE:
                return False
            task = self._making[pair] = asyncio.get_running_loop().create_task(self._make(pair))
            self._begun_by[pair] = device_id
            task.add_done_callback(lambda _: self._forget(pair))
        await asyncio.wait({task}, timeout=WAIT_S)
        if not task.done():
            raise RateLimitedError("the delta is being made", retry_after_s=RETRY_S)
        return pair not in self._failed

    def _forget(self, pair: Pair) -> None:
        del self._making[pair], self._begun_by[pair]

    async def _make(self, pair: Pair) -> None:
        async with self._turn:
            reason = await in_thread(lambda: self._run(pair))
        if reason:
            if len(self._failed) >= MAX_FAILED:
                self._failed.clear()
            self._failed[pair] = None
            _log.warning(
                "a delta could not be made: devices fetch the whole artifact",
                source=pair.source.hex(),
                target=pair.target.hex(),
                reason=reason,
            )

    def _run(self, pair: Pair) -> str:
        """Make a delta in a process of its own; returns why it could not be made, or nothing. Not for an event loop."""
        files = (self.blobs.path(pair.source), self.blobs.path(pair.target), self.cache.path(pair.source, pair.target))
        try:
            self.cache.prepare()
            self._process = process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-P", "-m", MAKER, *map(str, files)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={},
            )
            with process:
                if self._closed:
                    process.kill()
                try:
                    _, said = process.communicate(timeout=MAKING_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    return f"not made within {MAKING_TIMEOUT_S:.0f} s"
                finally:
                    self._process = None
            self.cache.shrink()
        except (OSError, DataFolderError) as error:
            return str(error)
        if process.returncode:
            return (
                said.decode("utf-8", "replace").strip()[-MAX_REASON_CHARS:]
                or f"its process ended: {process.returncode}"
            )
        return "" if files[2].exists() else "it is larger than delta_cache_mb"

    def _may_start(self, asker: Asker, source: bytes) -> bool:
        """Whether a device may start from an artifact: it has it, and so have we. Reads the records."""
        reported = {UUID(one[1]) for one in json.loads(asker.installed or "[]")}

        def query(connection: Connection) -> bool:
            if asker.catalog_id is not None and reported & image_rows.of_blob(connection, asker.catalog_id, source):
                return True
            return release_rows.has_component(connection, asker.chip, source)

        return self.records.read(query) and self.blobs.path(source).exists()

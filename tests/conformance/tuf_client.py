# SPDX-License-Identifier: Apache-2.0
"""The device's TUF client behind the command line that tuf-conformance asks for (CLIENT-CLI.md of that suite).

Nothing is rebuilt here: the workflow, the store in flash, the source and the artifacts are those of a device. What a
device has and the suite does not: the time that a service signed. Here it is the host's, which the suite sets.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import aiohttp

from armillary.device.repository.artifacts import Artifacts
from armillary.device.repository.source import HttpSource
from armillary.device.repository.sources import METADATA, TARGETS, Sources
from armillary.device.state.metadata_store import FlashMetadata
from armillary.engines.flash.file import FileFlash
from armillary.errors import ArmillaryError, MismatchError
from armillary.update.repository.client import TrustedRepository, refresh
from armillary.update.repository.targets import VerifiedTarget


class SuiteSource(HttpSource):
    """A source whose metadata and targets are at two addresses that the suite chooses."""

    def __init__(self, metadata_url: str, targets_url: str, session: aiohttp.ClientSession) -> None:
        super().__init__("suite", metadata_url, lambda: session, monotonic=time.monotonic)
        self._targets = HttpSource("suite", targets_url or metadata_url, lambda: session, monotonic=time.monotonic)

    async def read(self, path: str, limit: int) -> bytes | None:
        return await super().read(path.removeprefix(METADATA), limit)

    async def append(self, path: str, sink: object, length: int) -> None:
        await self._targets.append(path.removeprefix(TARGETS), sink, length)  # type: ignore[arg-type]


def store_of(metadata_dir: Path) -> FlashMetadata:
    """The device's store with its regions as files in the suite's folder: ``root.json`` and so on."""
    return FlashMetadata(FileFlash(metadata_dir.parent), metadata_dir.name)


async def keep_artifact(trusted: TrustedRepository, artifacts: Artifacts, name: str, folder: Path) -> None:
    target = await trusted.target(name)
    path = folder / quote(name, safe="")
    if path.exists() and is_artifact(path.read_bytes(), target):
        return
    path.write_bytes(await artifacts.fetch(target, consistent=trusted.consistent))


def is_artifact(data: bytes, target: VerifiedTarget) -> bool:
    try:
        check = target.check()
        check.update(data)
        check.finish()
    except MismatchError:
        return False
    return True


async def run(options: argparse.Namespace) -> None:
    store = store_of(options.metadata_dir)
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        source = SuiteSource(options.metadata_url, options.target_base_url, session)
        sources = Sources(None, [source], lambda name, reason: print(f"{name}: {reason}", file=sys.stderr))
        trusted = await refresh(sources, store, now=int(time.time()))
        if options.command == "download":
            flash = FileFlash(options.metadata_dir.parent)
            artifacts = Artifacts(flash, sources, lambda: 0)
            for name in options.target_name:
                await keep_artifact(trusted, artifacts, name, options.target_dir)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metadata-dir", type=Path, required=True)
    parser.add_argument("--metadata-url", default="")
    parser.add_argument("--target-name", action="append", default=[])
    parser.add_argument("--target-dir", type=Path)
    parser.add_argument("--target-base-url", default="")
    parser.add_argument("command", choices=["init", "refresh", "download"])
    parser.add_argument("root", type=Path, nargs="?")
    options = parser.parse_args(arguments)
    try:
        if options.command == "init":
            store_of(options.metadata_dir).keep("root", options.root.read_bytes())
        else:
            asyncio.run(run(options))
    except ArmillaryError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

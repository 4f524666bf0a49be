# SPDX-License-Identifier: Apache-2.0
"""The metadata in force, read as what they are: our own files, which need no verification here. Does not load ``tuf``.

What is read stays in memory until there is a new edition.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from armillary.service.repository.files import RepositoryFiles
from armillary.service.repository.roles import OS, SNAPSHOT, catalog_role
from armillary.wire.device.checkin import OfferedImage


class Published:
    """Reads the metadata of one repository; belongs to one thread, or to who holds a lock."""

    def __init__(self, files: RepositoryFiles) -> None:
        self._files = files
        self._timestamp = b""
        self._snapshot: dict[str, Any] = {}
        self._named: dict[str, frozenset[str]] = {}  # role -> SHA-256, in hex, of what its metadata name

    def edition(self) -> bytes:
        """What tells the edition in force from every other one; empty before the first. Everything else is of it.

        Raises:
            DataFolderError: the disk refuses.
        """
        timestamp = self._files.read("timestamp.json") or b""
        if timestamp and timestamp != self._timestamp:
            self._snapshot = self._read(f"{_version(json.loads(timestamp)['signed'], SNAPSHOT)}.{SNAPSHOT}.json")
            self._named = {}
            self._timestamp = timestamp
        return timestamp

    def signed(self, role: str) -> dict[str, Any]:
        """The signed part of the metadata of a role that the snapshot names."""
        return self._read(f"{_version(self._snapshot, role)}.{role}.json")

    def names(self, digests: Iterable[bytes], catalog_id: UUID | None) -> bool:
        """Whether ``os``, or the role of a catalog, names every one of these artifacts by its SHA-256."""
        roles = [OS] if catalog_id is None else [OS, catalog_role(catalog_id)]
        named = [self._named_by(role) for role in roles]
        return all(any(digest.hex() in each for each in named) for digest in digests)

    def unnamed(self, images: Iterable[OfferedImage]) -> frozenset[UUID]:
        """Ids of those of these images that ``os`` does not name: they wait for its signature. None before an edition.

        Raises:
            DataFolderError: the disk refuses.
        """
        if not self.edition():
            return frozenset()
        return frozenset(image.image_id for image in images if not self.names([image.sha256], None))

    def _named_by(self, role: str) -> frozenset[str]:
        found = self._named.get(role)
        if found is None:
            targets = self.signed(role)["targets"] if f"{role}.json" in self._snapshot["meta"] else {}
            found = self._named[role] = frozenset(one["hashes"]["sha256"] for one in targets.values())
        return found

    def _read(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._files.read(name) or b"{}")
        return found["signed"]  # type: ignore[no-any-return]


def _version(signed: dict[str, Any], role: str) -> int:
    return int(signed["meta"][f"{role}.json"]["version"])

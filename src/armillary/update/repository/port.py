# SPDX-License-Identifier: Apache-2.0
"""What the TUF client asks of its surroundings: files of the repository, and a place for trusted metadata."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

Accepted = TypeVar("Accepted")


class Fetcher(Protocol):
    """Reads metadata files of a repository, from its own address or from mirrors. Nothing that it reads is trusted."""

    async def metadata(self, name: str, limit: int, accept: Callable[[bytes], Accepted]) -> Accepted | None:
        """What ``accept`` makes of the file ``name``; None when no source that answers has such a file.

        At most ``limit`` bytes are read from a source. ``accept`` verifies and raises RepositoryError for bytes that it
        does not take: then the next source is asked. ``name`` is relative to the folder of metadata and quoted for an
        address already.

        Raises:
            RepositoryError: what ``accept`` raised, when no source gave bytes that it takes.
            TransferError: no source gave anything.
        """


class MetadataStore(Protocol):
    """Keeps metadata that was verified, by role; after a power cut each role has its old or its new bytes, whole.

    What is read back counts as unverified: flash can be damaged or written by others.
    """

    def read(self, role: str) -> bytes | None:
        """The kept bytes of a role, or None."""

    def keep(self, role: str, data: bytes) -> None:
        """Keep ``data`` as the metadata of ``role``; durable when it returns."""

    def forget(self, role: str) -> None:
        """Remove the metadata of ``role``; absent already is no error."""

# SPDX-License-Identifier: Apache-2.0
"""Packages of a bundle that were fetched, kept in flash until all of them are there and checked.

One is in memory at a time, however large the bundle: each goes to flash as it comes, ``fetched/<image id>``, and is
read when it is asked for. Into its slot it is renamed, not copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final
from uuid import UUID

from armillary.engines.flash.port import Flash
from armillary.errors import DataFolderError
from armillary.update.install.plan import InstallPlan
from armillary.update.install.record import SlotImage

FOLDER: Final = "fetched/"


class FetchedPackages(Mapping[UUID, bytes]):
    """The packages that a plan fetches, by image id; reading one raises DataFolderError if flash has lost it."""

    def __init__(self, flash: Flash, plan: InstallPlan) -> None:
        self._flash = flash
        self._targets = {staged.target.image_id: staged.target for staged in plan.fetch}

    def __getitem__(self, image_id: UUID) -> bytes:
        target = self._targets[image_id]
        data = self._flash.read(fetched_region(target)) or b""
        if not is_package(target, data):
            raise DataFolderError(
                f"{target.name} ({image_id}): flash no longer holds the package that was fetched",
                remedy="It is fetched again at the next check-in; check the disk if this repeats.",
            )
        return data

    def __iter__(self) -> Iterator[UUID]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)


def fetched_region(image: SlotImage) -> str:
    """Flash region of a package until it is in its slot."""
    return f"{FOLDER}{image.image_id}"


def is_package(image: SlotImage, data: bytes) -> bool:
    """Whether these are the bytes that were offered."""
    return len(data) == image.size and sha256(data).digest() == image.sha256

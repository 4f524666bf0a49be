# SPDX-License-Identifier: Apache-2.0
"""What uploads need of who keeps images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from armillary.engines.records.schema.rows import Image
from armillary.wire.image.app_manifest import AppManifest
from armillary.wire.image.package import UnverifiedImagePackage


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A package that may be kept; nobody has checked who signed it.

    Attributes:
        architecture: The word of chip profiles for its processor, or ``any``.
        manifest: What it asks for; None for a board configuration, which asks for nothing.
    """

    package: UnverifiedImagePackage
    architecture: str
    manifest: AppManifest | None


class ImageStore(Protocol):
    """Keeps images: ``service/updates/images.py``."""

    def look(self, package: bytes) -> LookedAt:
        """Read a package to its last byte. Raises ArmillaryError."""

    def get(self, catalog: str, image_id: UUID) -> Image:
        """An image of a catalog. Raises NotFoundError."""

    def upload(self, catalog: str, package: bytes, *, actor: str, version: str) -> Image:
        """Keep a package; ``version`` is empty for unknown. Raises ArmillaryError."""

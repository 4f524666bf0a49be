# SPDX-License-Identifier: Apache-2.0
"""Image packages that somebody looks at before they are kept.

An upload is read to its last byte and held on the disk for a quarter of an hour, for who sent it and one catalog alone.
Nothing is an image before :meth:`HeldPackages.keep`. What a process held when it ended is deleted at the next upload.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final
from uuid import UUID

from armillary.engines.durable import write_file
from armillary.engines.records.schema.rows import Image
from armillary.errors import ConflictError, DataFolderError, InvalidArgumentError, NotFoundError
from armillary.service.context.context import Context
from armillary.service.uploads.port import ImageStore, LookedAt
from armillary.wire.image.naming import check_version

# Somebody who reads a manifest and asks a colleague is back by then.
HELD_S: Final = 15 * 60
# Packages of one upload: as many as people look through.
MAX_PACKAGES: Final = 8
# Bytes of one upload.
MAX_UPLOAD_BYTES: Final = 64 << 20
# Uploads that are held at a time: 512 MiB of the disk. A new one of the same person ends the oldest.
MAX_HELD: Final = 8
# Of one catalog, so that its people do not take the place of others.
MAX_HELD_OF_CATALOG: Final = 4


@dataclass(frozen=True, slots=True)
class HeldUpload:
    """Packages that one person sent for one catalog."""

    held_id: str
    catalog: str
    actor: str
    until: int
    files: tuple[Path, ...]


class HeldPackages:
    """Holds uploads until they are kept, dropped or too old. Thread-safe."""

    def __init__(self, context: Context, images: ImageStore) -> None:
        self._context = context
        self._images = images
        self._folder = context.folder.path / "uploads"
        self._lock = threading.Lock()
        self._held: dict[str, HeldUpload] = {}
        self._is_swept = False

    def hold(self, catalog: str, packages: Sequence[bytes], *, actor: str) -> HeldUpload:
        """Read packages and hold them; all of them or none.

        Raises:
            InvalidArgumentError: none, too many, two of one image, or one that could not be kept.
            ConflictError: others hold too many uploads, the catalog has an image of the same id, or a newer upload of
                the same person ended this one while it was written.
            WireError, ManifestError: a package breaks its format.
            DataFolderError: the disk refuses.
        """
        if not 1 <= len(packages) <= MAX_PACKAGES:
            raise InvalidArgumentError(
                f"image packages: expected 1 to {MAX_PACKAGES} files, got {len(packages)}",
                remedy="Choose files made by armillary image-package pack-application (*.imagepackage).",
            )
        ids = [self._images.look(package).package.image_id for package in packages]
        if len(set(ids)) != len(ids):
            raise InvalidArgumentError("image packages: one image is there twice", remedy="Choose each file once.")
        for image_id in ids:
            self._refuse_known(catalog, image_id)
        held_id = secrets.token_hex(16)
        files = tuple(self._folder / f"{held_id}.{number}" for number in range(len(packages)))
        upload = HeldUpload(held_id, catalog, actor, self._context.now() + HELD_S, files)
        with self._lock:
            self._sweep()
            self._make_room(catalog, actor)
            self._held[held_id] = upload
        try:
            self._make_folder()
            for file, package in zip(files, packages, strict=True):
                write_file(file, package, mode=0o600)
        except BaseException:  # whatever it is, nothing half done stays
            self._forget(upload)
            raise
        with self._lock:
            is_held = held_id in self._held
        if not is_held:
            self._forget(upload)
            raise ConflictError("a newer upload has ended this one", remedy="Send the files again.")
        return upload

    def look(self, held_id: str, catalog: str, *, actor: str) -> tuple[LookedAt, ...]:
        """What is held, in the order in which it was sent. Raises NotFoundError."""
        return tuple(self._images.look(each) for each in self._packages(self._mine(held_id, catalog, actor)))

    def keep(
        self, held_id: str, catalog: str, *, actor: str, versions: Mapping[UUID, str] = MappingProxyType({})
    ) -> tuple[Image, ...]:
        """Make images of all that is held; ``versions`` are those that somebody gave, by image id.

        Raises NotFoundError, and as ``Images.upload`` does.
        """
        upload = self._mine(held_id, catalog, actor)
        ids = [self._images.look(package).package.image_id for package in self._packages(upload)]
        for image_id in ids:  # all or none: somebody may have kept one of them meanwhile
            self._refuse_known(catalog, image_id)
            if given := versions.get(image_id):
                check_version(given)
        kept = tuple(
            self._images.upload(catalog, each, actor=actor, version=versions.get(image_id, ""))
            for image_id, each in zip(ids, self._packages(upload), strict=True)
        )
        self._forget(upload)
        return kept

    def drop(self, held_id: str, catalog: str, *, actor: str) -> None:
        """Hold an upload no longer. Raises NotFoundError."""
        self._forget(self._mine(held_id, catalog, actor))

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise DataFolderError(f"{self._folder}: {error.strerror}", remedy="Make room, or mend the disk.") from error

    def _mine(self, held_id: str, catalog: str, actor: str) -> HeldUpload:
        with self._lock:
            self._sweep()
            found = self._held.get(held_id)
        if found is None or found.actor != actor or found.catalog.casefold() != catalog.casefold():
            raise NotFoundError(
                "this upload has expired or was discarded",
                remedy=f"Send the files again: an upload is held for {HELD_S // 60} minutes.",
            )
        return found

    def _packages(self, upload: HeldUpload) -> Iterator[bytes]:
        """One after the other: a package is in memory once."""
        for file in upload.files:
            try:
                yield file.read_bytes()
            except FileNotFoundError as error:
                raise NotFoundError(
                    "this upload has expired or was discarded", remedy="Send the files again."
                ) from error

    def _refuse_known(self, catalog: str, image_id: UUID) -> None:
        try:
            found = self._images.get(catalog, image_id)
        except NotFoundError:
            return
        raise ConflictError(
            f"catalog {catalog} has the image {found.name} ({image_id}) already",
            remedy="Use it as it is; every other build has an image id of its own.",
        )

    def _make_room(self, catalog: str, actor: str) -> None:
        ours = [each for each in self._held.values() if each.catalog.casefold() == catalog.casefold()]
        if len(ours) < MAX_HELD_OF_CATALOG and len(self._held) < MAX_HELD:
            return
        mine = [each.held_id for each in ours if each.actor == actor]
        if not mine:
            raise ConflictError(
                "too many uploads are being looked at", remedy="Try again in some minutes, or: armillary image add."
            )
        self._end(mine[0])

    def _sweep(self) -> None:
        """End what is too old; the first time, delete what an earlier process left."""
        if not self._is_swept:
            for left in self._folder.glob("*"):
                left.unlink(missing_ok=True)
            self._is_swept = True
        now = self._context.now()
        for held_id in [held_id for held_id, each in self._held.items() if each.until <= now]:
            self._end(held_id)

    def _forget(self, upload: HeldUpload) -> None:
        """Hold it no longer, also where it is held no more and its files were written since."""
        with self._lock:
            self._held.pop(upload.held_id, None)
        for file in upload.files:
            file.unlink(missing_ok=True)

    def _end(self, held_id: str) -> None:
        for file in self._held.pop(held_id).files:
            file.unlink(missing_ok=True)

# SPDX-License-Identifier: Apache-2.0
"""Artifacts for bridged devices: uploaded in parts, checked against the digest that the caller states, kept as blobs.

A part is at most :data:`MAX_PART_BYTES`, so that an image of gigabytes never is in memory. An upload is a file in the
data folder and a row in memory: it ends with the last byte, after :data:`UPLOAD_LIFETIME_S` without one, or with the
service; nothing of an upload that does not end well stays. Nobody signs an artifact here: who checks it is the device's
own updater.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.durable import not_writable
from armillary.engines.records.bridge import devices as bridge_rows
from armillary.engines.records.queries import images as image_rows
from armillary.engines.records.schema.bridge_rows import BridgeArtifact
from armillary.engines.records.schema.rows import Image
from armillary.errors import ConflictError, DataFolderError, InvalidArgumentError, NotFoundError, QuotaExceededError
from armillary.service.context.blobs import Blobs
from armillary.service.context.context import Context
from armillary.service.registry.names import catalog_or_raise
from armillary.service.updates.images import Images, image_or_raise
from armillary.wire.hawkbit import artifact as artifact_names
from armillary.wire.hawkbit.artifact import ARCHITECTURE, IMAGE_TYPE, component_id_of

if TYPE_CHECKING:
    from hashlib import _Hash

# Of one request's body: in memory while it is written.
MAX_PART_BYTES: Final = 4 << 20
# Uploads under way: each is a file of up to 4 GiB. A quarter of them for one catalog.
MAX_UPLOADS: Final = 8
MAX_UPLOADS_OF_CATALOG: Final = 2
# An upload without a byte for this long is given up.
UPLOAD_LIFETIME_S: Final = 600
# When who finds too many uploads may try again, seconds.
RETRY_S: Final = 30
# Left on the disk by an upload: the records need room to grow.
RESERVE_BYTES: Final = 256 << 20
# Artifacts of one catalog, each a row and a blob.
MAX_ARTIFACTS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactForm:
    """What an artifact is to be; ``size`` in bytes and ``sha256`` (32 bytes) are checked against what arrives."""

    name: str
    version: str
    filename: str
    size: int
    sha256: bytes
    part: str = artifact_names.DEFAULT_PART


@dataclass(eq=False, slots=True)
class Upload:
    """An upload under way. Its lock is held while a part is written."""

    upload_id: UUID
    catalog: str
    form: ArtifactForm
    path: Path
    changed_at: float
    received: int = 0
    sha256: _Hash = field(default_factory=hashlib.sha256)
    sha1: _Hash = field(default_factory=lambda: hashlib.sha1(usedforsecurity=False))  # what DDI's clients compare
    md5: _Hash = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))
    lock: threading.Lock = field(default_factory=threading.Lock)


class BridgeArtifacts:
    """Operations on artifacts. From any thread; an unknown catalog raises NotFoundError."""

    def __init__(self, context: Context, blobs: Blobs, images: Images) -> None:
        self._context = context
        self._blobs = blobs
        self._images = images
        self._lock = threading.Lock()
        self._uploads: dict[UUID, Upload] = {}
        self._folder = context.folder.path / "bridge-uploads"

    def begin(self, catalog: str, form: ArtifactForm) -> Upload:
        """Begin an upload.

        Raises:
            InvalidArgumentError: names, size or digest that cannot be.
            ConflictError: the catalog has this version of the artifact, or as many artifacts as there may be.
            QuotaExceededError: others upload; try again later.
            DataFolderError: the disk has no room for it.
        """
        artifact_names.check_names(name=form.name, version=form.version, filename=form.filename, part=form.part)
        if not 1 <= form.size <= artifact_names.MAX_BYTES or len(form.sha256) != 32:
            raise InvalidArgumentError(
                f"artifact: expected 1 to {artifact_names.MAX_BYTES} bytes and a SHA-256, got {form.size} bytes",
                remedy="State the size and the SHA-256 of the whole file.",
            )
        self._context.records.read(lambda c: _check_new(c, catalog, form))
        with self._lock:
            self._drop_old()
            mine = [each for each in self._uploads.values() if each.catalog.lower() == catalog.lower()]
            if len(self._uploads) >= MAX_UPLOADS or len(mine) >= MAX_UPLOADS_OF_CATALOG:
                raise QuotaExceededError("as many artifacts are being uploaded as may be", retry_after_s=RETRY_S)
            promised = sum(each.form.size - each.received for each in self._uploads.values())
            self._make_room(form.size + promised)
            upload_id = uuid4()
            path = self._folder / f"{upload_id}.partial"
            made = Upload(upload_id, catalog, form, path, time.monotonic())
            self._uploads[upload_id] = made
        return made

    def take(self, catalog: str, upload_id: UUID, offset: int, part: bytes, *, actor: str) -> BridgeArtifact | int:
        """Take a part; returns the bytes received so far, or with the last part the artifact.

        Raises:
            NotFoundError: no such upload of the catalog: it ended or was given up.
            ConflictError: the part is not the next one; or the file is another one than was stated, and the upload
                has ended.
            DataFolderError: the disk refuses; the upload has ended.
        """
        upload = self._upload(catalog, upload_id)
        with upload.lock:
            if upload_id not in self._uploads:
                raise _no_upload(upload_id)
            self._check_part(upload, offset, part)
            try:
                _append(upload, part)
                if upload.received < upload.form.size:
                    return upload.received
                return self._finish(upload, actor)
            except BaseException:  # undone whatever it was, then raised on: a half-written upload is of no use
                self._end(upload)
                raise

    def give_up(self, catalog: str, upload_id: UUID) -> None:
        """End an upload; NotFoundError if there is none."""
        upload = self._upload(catalog, upload_id)
        with upload.lock:
            self._end(upload)

    def list(self, catalog: str) -> tuple[BridgeArtifact, ...]:
        """A catalog's artifacts, newest first."""
        return self._context.records.read(lambda c: bridge_rows.artifacts(c, catalog_or_raise(c, catalog).catalog_id))

    def get(self, catalog: str, image_id: UUID) -> BridgeArtifact:
        """An artifact; NotFoundError if the catalog has none of this id."""
        return self._context.records.read(lambda c: _artifact_or_raise(c, catalog, image_id))

    def delete(self, catalog: str, image_id: UUID, *, actor: str) -> None:
        """Delete an artifact that no deployment names.

        Raises:
            NotFoundError: the catalog has none of this id.
            ConflictError: a deployment names it.
        """
        self._context.records.read(lambda c: _artifact_or_raise(c, catalog, image_id))
        self._images.delete(catalog, image_id, actor=actor)

    def path(self, artifact: BridgeArtifact) -> Path:
        """The file of an artifact."""
        return self._blobs.path(artifact.sha256)

    def remove_partial(self) -> None:
        """Delete what interrupted uploads have left; call it before anything is uploaded."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        """End all uploads."""
        for upload in tuple(self._uploads.values()):
            with upload.lock:
                self._end(upload)
        self.remove_partial()

    def _upload(self, catalog: str, upload_id: UUID) -> Upload:
        with self._lock:
            self._drop_old()
            found = self._uploads.get(upload_id)
        if found is None or found.catalog.lower() != catalog.lower():
            raise _no_upload(upload_id)
        return found

    def _check_part(self, upload: Upload, offset: int, part: bytes) -> None:
        if offset != upload.received:
            raise ConflictError(
                f"offset: expected {upload.received}, what was received so far, got {offset}",
                remedy="Send the part that begins there.",
            )
        if not part or len(part) > min(MAX_PART_BYTES, upload.form.size - upload.received):
            raise InvalidArgumentError(
                f"part: expected 1 to {min(MAX_PART_BYTES, upload.form.size - upload.received)} bytes, got {len(part)}",
                remedy=f"Send parts of at most {MAX_PART_BYTES} bytes, and no more than the size that was stated.",
            )

    def _finish(self, upload: Upload, actor: str) -> BridgeArtifact:
        digest = upload.sha256.digest()
        if not hmac.compare_digest(digest, upload.form.sha256):
            raise ConflictError(
                f"artifact: expected SHA-256 {upload.form.sha256.hex()}, got {digest.hex()}",
                remedy="The file changed or was damaged on its way: upload it again.",
            )
        with self._blobs.held(digest):
            self._blobs.take(upload.path, digest)
            try:
                made = self._context.records.write(lambda c: self._keep(c, upload, actor))
            except BaseException:  # undone whatever it was, then raised on
                self._images.remove_unnamed(digest)
                raise
        self._end(upload)
        return made

    def _keep(self, connection: Connection, upload: Upload, actor: str) -> BridgeArtifact:
        form, now = upload.form, self._context.now()
        catalog_id = _check_new(connection, upload.catalog, form)
        made = BridgeArtifact(
            image_id=uuid4(),
            catalog_id=catalog_id,
            component_id=component_id_of(catalog_id, form.name),
            name=form.name,
            version=form.version,
            part=form.part,
            filename=form.filename,
            size=form.size,
            sha256=form.sha256,
            sha1=upload.sha1.digest(),
            md5=upload.md5.digest(),
            uploaded_at=now,
            uploaded_by=actor,
        )
        image_rows.add(connection, _image_of(made))
        bridge_rows.add_artifact(connection, made)
        detail = {"catalog": upload.catalog, "name": form.name, "version": form.version, "sha256": form.sha256.hex()}
        self._context.audit(connection, actor, "bridge-artifact.upload", str(made.image_id), detail)
        return made

    def _make_room(self, size: int) -> None:
        """Make the folder, and raise DataFolderError unless its disk has room for ``size`` bytes more."""
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            free = shutil.disk_usage(self._folder).free
        except OSError as error:
            raise not_writable(self._folder, error) from error
        if free < size + RESERVE_BYTES:
            raise DataFolderError(
                f"{self._folder} has {free} bytes free, and {size + RESERVE_BYTES} are needed",
                remedy="Free space on the disk, or delete artifacts that nothing needs: bridge artifact delete.",
            )

    def _drop_old(self) -> None:
        """Give up uploads that nothing was heard of; the caller holds the lock."""
        ended = time.monotonic() - UPLOAD_LIFETIME_S
        for upload in [each for each in self._uploads.values() if each.changed_at < ended]:
            if upload.lock.acquire(blocking=False):
                try:
                    del self._uploads[upload.upload_id]
                    upload.path.unlink(missing_ok=True)
                finally:
                    upload.lock.release()

    def _end(self, upload: Upload) -> None:
        self._uploads.pop(upload.upload_id, None)
        with contextlib.suppress(OSError):
            upload.path.unlink(missing_ok=True)


def _append(upload: Upload, part: bytes) -> None:
    try:
        descriptor = os.open(upload.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            left = memoryview(part)
            while left:
                left = left[os.write(descriptor, left) :]
        finally:
            os.close(descriptor)
    except OSError as error:
        raise not_writable(upload.path.parent, error) from error
    for each in (upload.sha256, upload.sha1, upload.md5):
        each.update(part)
    upload.received += len(part)
    upload.changed_at = time.monotonic()


def _check_new(connection: Connection, catalog: str, form: ArtifactForm) -> UUID:
    """The catalog's id; ConflictError if it has this version of the artifact already."""
    owner = catalog_or_raise(connection, catalog)
    known: Sequence[BridgeArtifact] = bridge_rows.artifacts(connection, owner.catalog_id)
    if any(each.name.lower() == form.name.lower() and each.version == form.version for each in known):
        raise ConflictError(
            f"catalog {owner.name} has version {form.version} of {form.name}",
            remedy="Artifacts never change; give the new one another version.",
        )
    if len(known) >= MAX_ARTIFACTS:
        raise ConflictError(
            f"catalog {owner.name} has {MAX_ARTIFACTS} artifacts, which is all there may be",
            remedy="Delete some that nothing needs: bridge artifact delete.",
        )
    return owner.catalog_id


def _artifact_or_raise(connection: Connection, catalog: str, image_id: UUID) -> BridgeArtifact:
    owner = catalog_or_raise(connection, catalog)
    image_or_raise(connection, owner.catalog_id, image_id)
    found = bridge_rows.artifact(connection, owner.catalog_id, image_id)
    if found is None:
        raise NotFoundError(f"image {image_id} is no artifact of the bridge", remedy="List them: bridge artifact list.")
    return found


def _no_upload(upload_id: UUID) -> NotFoundError:
    return NotFoundError(f"there is no upload {upload_id}", remedy="It ended or was given up: begin again.")


def _image_of(made: BridgeArtifact) -> Image:
    return Image(
        image_id=made.image_id,
        catalog_id=made.catalog_id,
        component_id=made.component_id,
        image_type=IMAGE_TYPE,
        name=made.name,
        version=made.version,
        size=made.size,
        sha256=made.sha256,
        built_at=made.uploaded_at,
        architecture=ARCHITECTURE,
        allowed_connections=(),
        regional_data_boundary="None",
        uploaded_at=made.uploaded_at,
        uploaded_by=made.uploaded_by,
    )

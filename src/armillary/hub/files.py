# SPDX-License-Identifier: Apache-2.0
"""File upload in IoT Hub's three steps: a place with a signed address, the bytes to that address, how it went.

::

    device --POST devices/ID/files--> place (this port, its certificate or token)
    device --PUT signed address-----> bytes  (the operator API's port; nothing but the signature, as with a blob store)
    device --POST .../notifications-> outcome

The signature is over device, name, upload and time; it is good for one file, once, for an hour. Bytes go to a file that
is not the upload's until it is whole and on the disk. Names are made harmless: they are shown and offered for download,
and never a path of this host.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import re
import shutil
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from urllib.parse import quote

from armillary.engines.series import uploads
from armillary.engines.series.uploads import Upload
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, PermissionDeniedError

if TYPE_CHECKING:
    from armillary.hub.hub import Hub

CONTAINER: Final = "device-files"
# One file; a longer one is many.
MAX_FILE_BYTES: Final = 256 << 20
# How long the signed address is good (seconds).
LIFETIME_S: Final = 3600
# Blocks of one file, as the blob client sends what is larger than 64 MiB.
MAX_BLOCKS: Final = 1000
MAX_NAME_CHARS: Final = 200
COMMIT_TIMEOUT_S: Final = 30.0
_KEY_BYTES: Final = 32

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._ -]")


class FileUploads:
    """Files of devices. Methods block: call them from threads.

    Args:
        hub: The hub.
        folder: Where the bytes are.
    """

    def __init__(self, hub: Hub, folder: Path) -> None:
        self._hub = hub
        self._folder = folder
        self._lock = threading.Lock()
        self._key: bytes | None = None

    def begin(self, device_id: str, name: str) -> tuple[Upload, str]:
        """Give a device a place for a file, and the query that is its permission to write there.

        Raises:
            RateLimitedError: it has as many as it may have.
            InvalidArgumentError: the name is empty.
        """
        now_ms = self._hub.now_ms()
        upload = Upload(
            upload_id=uuid.uuid4().hex,
            device_id=device_id,
            name=harmless(name),
            state="open",
            size=0,
            sha256="",
            content_type="",
            status="",
            begun_ms=now_ms,
            expires_ms=now_ms + LIFETIME_S * 1000,
            changed_ms=now_ms,
        )
        for over in self._write(uploads.begun(upload)):
            self._remove(over)
        return upload, self._permission(upload)

    def permitted(self, path: str, query: dict[str, str]) -> Upload:
        """The upload that a signed address is for; its bytes are not here yet.

        Args:
            path: ``device/name`` as requested, decoded.
            query: Of the request, decoded.

        Raises:
            PermissionDeniedError: the signature is not ours, or over.
            ConflictError: the bytes are here already.
        """
        found = self.find(query.get("si", ""))
        if found is None or path != f"{found.device_id}/{found.name}":
            raise PermissionDeniedError("the address of this upload is not signed by this service")
        signature = self._sign(found)
        if not hmac.compare_digest(signature.encode(), query.get("sig", "").encode("utf-8", "replace")):
            raise PermissionDeniedError("the address of this upload is not signed by this service")
        if self._hub.now_ms() >= found.expires_ms:
            raise PermissionDeniedError("the address of this upload is over: ask for a new one")
        if found.state != "open":
            raise ConflictError("the file of this upload is here already", code="hub.upload-exists")
        return found

    @contextlib.contextmanager
    def part(self, upload: Upload, block: str | None) -> Any:
        """A file to write bytes of an upload to, or those of a block of it; it counts once it was left without error.

        Raises:
            InvalidArgumentError: too many blocks, or the name of one is too long.
        """
        place = self._folder / f"{upload.upload_id}.parts"
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if block is not None and (len(block) > 100 or sum(1 for _ in place.iterdir()) >= 2 * MAX_BLOCKS):
            raise InvalidArgumentError(f"blocks: expected at most {MAX_BLOCKS} with short names", remedy="Send less.")
        name = "whole" if block is None else "block-" + hashlib.sha256(block.encode()).hexdigest()
        unfinished = place / f"{name}.{uuid.uuid4().hex}"
        try:
            with unfinished.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(place / name)
        finally:
            unfinished.unlink(missing_ok=True)

    def check_room(self, size: int) -> None:
        """Refuse more bytes than a file may have, or than the disk has to spare.

        Raises:
            InvalidArgumentError: too many.
        """
        if size > MAX_FILE_BYTES:
            raise InvalidArgumentError(f"file: expected at most {MAX_FILE_BYTES} bytes, got more", remedy="Split it.")
        if shutil.disk_usage(self._folder.parent).free < size + (512 << 20):
            raise InvalidArgumentError("file: the disk has no room for it", remedy="Free space on the data folder.")

    def finish(self, upload: Upload, content_type: str, blocks: list[str] | None = None) -> Upload:
        """Put an upload's bytes in their place: the whole, or its blocks one after the other.

        Raises:
            InvalidArgumentError: a block is missing, or they are too many bytes.
            ConflictError: the bytes are here already.
        """
        place = self._folder / f"{upload.upload_id}.parts"
        whole = place / "whole"
        if blocks is not None:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            with whole.open("wb") as target:
                self._join(place, blocks, target)
        size = whole.stat().st_size
        self.check_room(size)
        with whole.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        target_path = self._folder / upload.upload_id
        with self._lock:  # two requests with one address: the second finds it stored
            change = uploads.stored(
                upload.upload_id, size=size, sha256=digest, content_type=content_type, now_ms=self._hub.now_ms()
            )
            whole.replace(target_path)
            self._sync_folder()
            if not self._write(change):
                raise ConflictError("the file of this upload is here already", code="hub.upload-exists")
        shutil.rmtree(place, ignore_errors=True)
        return self.find(upload.upload_id) or upload

    def settle(self, device_id: str, upload_id: str, *, good: bool, status: str) -> Upload:
        """Take what a device says of its upload.

        Raises:
            NotFoundError: it has no such upload.
        """
        change = uploads.settled(upload_id, device_id, good=good, status=status, now_ms=self._hub.now_ms())
        found: Upload = self._write(change)
        if found.state == "failed":
            self._remove(upload_id)
        return found

    def of_device(self, device_id: str) -> list[Upload]:
        """A device's files, newest first."""
        return self._hub.series.read(lambda connection: uploads.read_uploads(connection, device_id))

    def find(self, upload_id: str) -> Upload | None:
        """One file."""
        return self._hub.series.read(lambda connection: uploads.read_upload(connection, upload_id))

    def content(self, device_id: str, upload_id: str) -> tuple[Upload, Path]:
        """A device's file, and where its bytes are.

        Raises:
            NotFoundError: there is none, or no bytes of it.
        """
        found = self.find(upload_id)
        path = self._folder / upload_id
        if found is None or found.device_id != device_id or found.state not in ("stored", "confirmed"):
            raise NotFoundError("the device has no such file", remedy="List them: armillary device file list.")
        if not path.is_file():
            raise NotFoundError("the bytes of this file are gone", remedy="Restore the hub's folder from a backup.")
        return found, path

    def delete(self, device_id: str, upload_id: str) -> Upload:
        """Delete a file.

        Raises:
            NotFoundError: the device has no such file.
        """
        found = self.find(upload_id)
        if found is None or found.device_id != device_id:
            raise NotFoundError("the device has no such file", remedy="List them: armillary device file list.")
        self._write(uploads.deleted(upload_id))
        self._remove(upload_id)
        return found

    def remove(self, upload_id: str) -> None:
        """Remove the bytes of a file that is forgotten already."""
        self._remove(upload_id)

    # Inside -------------------------------------------------------------------------------------------------

    def _permission(self, upload: Upload) -> str:
        """The query of a signed address, in the names that blob clients keep."""
        signature = quote(self._sign(upload), safe="")
        return f"?sv=2021-08-06&sr=b&sp=cw&se={upload.expires_ms // 1000}&si={upload.upload_id}&sig={signature}"

    def _sign(self, upload: Upload) -> str:
        text = f"{upload.upload_id}\n{upload.device_id}/{upload.name}\n{upload.expires_ms}".encode()
        return base64.b64encode(hmac.digest(self._secret(), text, "sha256")).decode("ascii")

    def _secret(self) -> bytes:
        with self._lock:
            if self._key is None:
                path = self._folder / "address.key"
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                if not path.exists():
                    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - with a mode
                        file.write(os.urandom(_KEY_BYTES))
                self._key = path.read_bytes()
            return self._key

    def _join(self, place: Path, blocks: list[str], target: BinaryIO) -> None:
        if not 1 <= len(blocks) <= MAX_BLOCKS:
            raise InvalidArgumentError(f"blocks: expected 1 to {MAX_BLOCKS}, got {len(blocks)}", remedy="Send less.")
        for block in blocks:
            path = place / ("block-" + hashlib.sha256(block.encode()).hexdigest())
            if not path.is_file():
                raise InvalidArgumentError("blocks: one of them was not sent", remedy="Send every block before.")
            with path.open("rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)
            self.check_room(target.tell())
        target.flush()
        os.fsync(target.fileno())

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _remove(self, upload_id: str) -> None:
        (self._folder / upload_id).unlink(missing_ok=True)
        shutil.rmtree(self._folder / f"{upload_id}.parts", ignore_errors=True)

    def _write(self, change: Callable[..., Any]) -> Any:
        return self._hub.series.commits.submit(change).result(COMMIT_TIMEOUT_S)


def harmless(name: str) -> str:
    """A device's name for a file, so that it can be shown, saved and put in an address: its last part, few characters.

    Raises:
        InvalidArgumentError: nothing of it is left.
    """
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    kept = _UNSAFE.sub("_", last).strip(" .")[:MAX_NAME_CHARS]
    if not kept:
        raise InvalidArgumentError(f"blobName: expected a file name, got {name!a:.60}", remedy="Name the file.")
    return kept

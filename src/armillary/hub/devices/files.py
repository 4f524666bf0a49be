# SPDX-License-Identifier: Apache-2.0
"""File upload in IoT Hub's three steps: get a signed URL, send the bytes to it, report how it went.

::

    device --POST devices/ID/files--> place (this port, its certificate or token)
    device --PUT signed address-----> bytes  (the operator API's port; nothing but the signature, as with a blob store)
    device --POST .../notifications-> outcome

The signature covers device, name, upload and time; it permits one file, once, for an hour. Bytes are written to a
temporary file, which becomes the upload's when it is whole and on the disk; limits are counted before they are written
(``upload_room.py``). One request at a time joins an upload's parts to a file. If the list of parts is refused, they
stay, so that missing parts can be sent; uploads unfinished when their URL expires are removed, also after a restart.
Names are made harmless: they are shown and offered for download, and are never used as a path of this host.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import os
import re
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote

from armillary.engines.database.outbox import AuditEntry
from armillary.engines.durable import sync_folder
from armillary.engines.hub import uploads
from armillary.engines.hub.uploads import Upload
from armillary.engines.series.store import SeriesStore
from armillary.engines.threads import in_thread
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, PermissionDeniedError
from armillary.hub.devices.upload_room import MAX_BLOCKS, UploadRoom, Writing

CONTAINER: Final = "device-files"
# How long a signed URL is valid (seconds).
LIFETIME_S: Final = 3600
MAX_NAME_CHARS: Final = 200
# The blob client's names of blocks are 64.
MAX_BLOCK_NAME_CHARS: Final = 100
# How often expired uploads are removed (seconds).
SWEEP_EVERY_S: Final = 600.0
# Uploads are written by threads of their own, so that slow or many uploads take none from operators.
THREADS: Final = 4
# Ids looked up in one query.
_LOOK_UP: Final = 500
_KEY_BYTES: Final = 32

_OURS: Final = re.compile(r"([0-9a-f]{32})(\.parts)?")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._ -]")


class Part:
    """A part of an upload that is being written to ``path``. Made by :meth:`FileUploads.part`; methods block."""

    def __init__(self, room: UploadRoom, upload: Upload, counted: Writing, path: Path) -> None:
        self._room = room
        self._upload = upload
        self._counted = counted
        self.path = path
        self._file: BinaryIO = path.open("xb")

    def write(self, data: bytes) -> None:
        """Add bytes; raises InvalidArgumentError if a limit is exceeded."""
        self._room.take(self._upload, self._counted, len(data))
        self._file.write(data)

    def sync(self) -> None:
        """Write all of it to the disk (fsync)."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def keep(self) -> None:
        """Make it the upload's block of its name; raises ConflictError if the upload has ended."""
        self.sync()
        try:
            self.path.replace(self.path.with_name(self._counted.name))
        except FileNotFoundError as error:
            raise _over() from error
        self._room.keep(self._upload, self._counted)

    def discard(self) -> None:
        """Close it, and remove what was not kept."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class FileUploads:
    """Files of devices. Methods block unless they are coroutines: call them from threads, :attr:`threads` for bytes.

    ``now_ms`` is Unix time in milliseconds; ``folder`` has the bytes.
    """

    def __init__(self, series: SeriesStore, now_ms: Callable[[], int], folder: Path) -> None:
        self._series = series
        self._now_ms = now_ms
        self._folder = folder
        self._lock = threading.Lock()
        self._key: bytes | None = None
        self.room = UploadRoom(folder, self.of_device)
        self.threads = ThreadPoolExecutor(THREADS, "hub-uploads")
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Remove what an earlier process left, and from now on what expires."""
        await in_thread(self.sweep_strays, self.threads)
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep_often(), name="hub-uploads")

    async def close(self) -> None:
        """Stop removing, and wait for what is being written."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait([self._sweeping])
        await in_thread(self.threads.shutdown)

    def begin(self, device_id: str, name: str) -> tuple[Upload, str]:
        """Begin an upload of a device: its row, and the signed query of its URL.

        Raises:
            RateLimitedError: it has as many as it may have.
            InvalidArgumentError: the name is empty.
        """
        now_ms = self._now_ms()
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
            self.remove(over)
        return upload, self._permission(upload)

    def permitted(self, path: str, query: dict[str, str]) -> Upload:
        """The upload that a signed URL is for; its bytes are not here yet.

        ``path`` is ``device/name`` as requested; it and the query are decoded.

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
        if self._now_ms() >= found.expires_ms:
            raise PermissionDeniedError("the address of this upload is over: ask for a new one")
        if found.state != "open":
            raise _over()
        return found

    @contextlib.contextmanager
    def part(self, upload: Upload, block: str | None) -> Iterator[Part]:
        """A part of an upload to write to, a block or the whole; removed at the end unless it was kept or finished.

        Raises:
            InvalidArgumentError: too many blocks, or the name of one is too long.
        """
        if block is not None and len(block) > MAX_BLOCK_NAME_CHARS:
            raise InvalidArgumentError(
                f"blockid: expected at most {MAX_BLOCK_NAME_CHARS} characters", remedy="Give blocks short names."
            )
        place = self._folder / f"{upload.upload_id}.parts"
        name = "whole" if block is None else _block_file(block)
        with self.room.writing(upload, name) as counted:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            part = Part(self.room, upload, counted, place / f"{name}.{uuid.uuid4().hex}")
            try:
                yield part
            finally:
                part.discard()

    def finish(self, upload: Upload, content_type: str, content: list[str] | Part) -> Upload:
        """Make an upload's bytes its file: a whole part, or blocks one after the other. One request at a time.

        Raises:
            InvalidArgumentError: a block is missing, or they are too many bytes; what was sent stays.
            ConflictError: the bytes are here already.
        """
        place = self._folder / f"{upload.upload_id}.parts"
        with self.room.joining(upload), contextlib.ExitStack() as held:
            found = self.find(upload.upload_id)
            if found is None or found.state != "open":  # another request was faster
                raise _over()
            path = content.path if isinstance(content, Part) else self._joined(place, content, held)
            if isinstance(content, Part):
                content.sync()
            size = path.stat().st_size
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            change = uploads.stored(
                upload.upload_id, size=size, sha256=digest, content_type=content_type, now_ms=self._now_ms()
            )
            with self.room.stored(upload, size):
                path.replace(self._folder / upload.upload_id)
                self._sync_folder()
                if not self._write(change):  # deleted, or said to have failed, meanwhile
                    (self._folder / upload.upload_id).unlink(missing_ok=True)
                    raise _over()
            shutil.rmtree(place, ignore_errors=True)
        return self.find(upload.upload_id) or upload

    def settle(self, device_id: str, upload_id: str, *, good: bool, status: str) -> Upload:
        """Note how a device says that its upload went. Raises NotFoundError if it has no such upload."""
        change = uploads.settled(upload_id, device_id, good=good, status=status, now_ms=self._now_ms())
        found: Upload = self._write(change)
        if found.state == "failed":
            self.remove(upload_id)
        return found

    def of_device(self, device_id: str) -> list[Upload]:
        """A device's files, newest first."""
        return self._series.read(lambda connection: uploads.read_uploads(connection, device_id))

    def find(self, upload_id: str) -> Upload | None:
        """One file."""
        return self._series.read(lambda connection: uploads.read_upload(connection, upload_id))

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

    def delete(self, device_id: str, upload_id: str, entry: AuditEntry | None = None) -> Upload:
        """Delete a file, with an audit entry of it; raises NotFoundError if the device has none of this id."""
        found = self.find(upload_id)
        if found is None or found.device_id != device_id:
            raise NotFoundError("the device has no such file", remedy="List them: armillary device file list.")
        self._series.outbox.commit(uploads.deleted(upload_id), entry)
        self.remove(upload_id)
        return found

    def remove(self, upload_id: str) -> None:
        """Remove the bytes of a file whose row is gone already."""
        (self._folder / upload_id).unlink(missing_ok=True)
        shutil.rmtree(self._folder / f"{upload_id}.parts", ignore_errors=True)

    def sweep(self) -> None:
        """Remove uploads whose URL has expired, with what was sent of them."""
        now_ms = self._now_ms()
        if self._series.read(lambda connection: uploads.read_over(connection, now_ms)):
            for upload_id in self._write(uploads.forgotten_over(now_ms)):
                self.remove(upload_id)
        self.room.forget_idle()

    def sweep_strays(self) -> None:
        """Remove bytes that a killed process left: of no upload, of a failed one, or parts of one that is a file."""
        self.sweep()
        found = sorted(self._folder.iterdir()) if self._folder.is_dir() else []
        ours = [(match[1], bool(match[2]), path) for path in found if (match := _OURS.fullmatch(path.name))]
        for first in range(0, len(ours), _LOOK_UP):
            some = ours[first : first + _LOOK_UP]
            states = self._series.read(partial(uploads.read_states, upload_ids=[each[0] for each in some]))
            for upload_id, is_parts, path in some:
                if is_parts and states.get(upload_id) != "open":
                    shutil.rmtree(path, ignore_errors=True)
                elif not is_parts and states.get(upload_id) not in ("stored", "confirmed"):
                    path.unlink(missing_ok=True)

    def _permission(self, upload: Upload) -> str:
        """The query of a signed URL, in the names that blob clients keep."""
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

    def _joined(self, place: Path, blocks: list[str], held: contextlib.ExitStack) -> Path:
        """A file of these blocks, under a name of its own; removed at the end unless it was moved."""
        if not 1 <= len(blocks) <= MAX_BLOCKS:
            raise InvalidArgumentError(f"blocks: expected 1 to {MAX_BLOCKS}, got {len(blocks)}", remedy="Send less.")
        paths = [place / _block_file(block) for block in blocks]
        try:
            self.room.check_copy(sum(path.stat().st_size for path in paths))
            joined = place / f"joined.{uuid.uuid4().hex}"
            held.callback(joined.unlink, missing_ok=True)
            with joined.open("xb") as target:
                for path in paths:
                    with path.open("rb") as source:
                        shutil.copyfileobj(source, target, 1 << 20)
                    self.room.check_copy(target.tell())  # one may have been sent again meanwhile
                target.flush()
                os.fsync(target.fileno())
        except FileNotFoundError as error:
            raise InvalidArgumentError("blocks: one of them was not sent", remedy="Send every block before.") from error
        return joined

    async def _sweep_often(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            await in_thread(self.sweep, self.threads)

    def _sync_folder(self) -> None:
        sync_folder(self._folder)

    def _write(self, change: Callable[..., Any]) -> Any:
        return self._series.commits.commit(change)


def _block_file(block: str) -> str:
    return "block-" + hashlib.sha256(block.encode("utf-8", "surrogatepass")).hexdigest()


def _over() -> ConflictError:
    return ConflictError("the file of this upload is here already, or it is over", code="hub.upload-exists")


def harmless(name: str) -> str:
    """A device's name for a file, made safe to show, to save and to put in a URL: its last part, few characters.

    Raises:
        InvalidArgumentError: nothing of it is left.
    """
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    kept = _UNSAFE.sub("_", last).strip(" .")[:MAX_NAME_CHARS]
    if not kept:
        raise InvalidArgumentError(f"blobName: expected a file name, got {name!a:.60}", remedy="Name the file.")
    return kept

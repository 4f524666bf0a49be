# SPDX-License-Identifier: Apache-2.0
"""Files that devices upload: the signed address their bytes go to, and what operators do with them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from typing import Annotated, Any, Final, TypeVar

from fastapi import Path
from fastapi.responses import FileResponse
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.http.callers import caller_of
from armillary.api.http.query import read_query
from armillary.api.http.route import CONTRIBUTOR, PUBLIC, READER, Route
from armillary.api.http.routes import actor_of, hub_of
from armillary.api.http.tenure import check_own, since_ms
from armillary.api.native.device_ids import DevicePath, known_identity
from armillary.api.native.parameters import DEVICE
from armillary.engines.hub.uploads import Upload
from armillary.engines.threads import in_thread
from armillary.errors import ConflictError, InvalidArgumentError, PermissionDeniedError, QuotaExceededError
from armillary.hub.devices.files import CONTAINER, FileUploads

UPLOAD: Final = f"/{CONTAINER}/{{path:path}}"
# What the API lets in of one request's body; the blob client sends at most so much at once.
MAX_PUT_BYTES: Final = 64 << 20
# A list of 1,000 blocks.
MAX_LIST_BYTES: Final = 256 * 1024

# One body, from its head to its end (seconds): a block of 4 MiB at the 5 kB/s of a slow uplink.
PUT_TIMEOUT_S: Final = 900.0

T = TypeVar("T")
UploadPath = Annotated[str, Path(min_length=32, max_length=32, pattern="^[0-9a-f]{32}$")]


def list_files(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """The files a device has uploaded, newest first."""
    known = known_identity(request, device_id)
    since = since_ms(request, known)
    found = [document(each) for each in hub_of(request).files.of_device(known) if each.begun_ms >= since]
    return {"items": found, "next": None}


def download_file(request: Request, device_id: DevicePath, upload_id: UploadPath) -> Response:
    """The bytes of a file, always as a download: a device's file is nobody's page."""
    known = known_identity(request, device_id)
    found, path = hub_of(request).files.content(known, upload_id)
    check_own(request, known, found.begun_ms, "file")
    headers = {"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}
    return FileResponse(path, filename=found.name, media_type="application/octet-stream", headers=headers)


def delete_file(request: Request, device_id: DevicePath, upload_id: UploadPath) -> dict[str, Any]:
    """Delete a file."""
    known = known_identity(request, device_id)
    for each in hub_of(request).files.of_device(known):
        if each.upload_id == upload_id:
            check_own(request, known, each.begun_ms, "file")
    return document(hub_of(request).operations.delete_file(actor_of(request), known, upload_id))


async def put_upload(request: Request, path: str) -> Response:
    """Take the bytes of a file at its signed address: whole, as a block, or the list that joins blocks (Put Blob)."""
    files = hub_of(request).files
    try:
        query = dict(read_query(request.query_params))
        async with asyncio.timeout(PUT_TIMEOUT_S):
            upload = await _in_thread(files, partial(files.permitted, path, query))
            with contextlib.ExitStack() as held:
                await _in_thread(files, partial(held.enter_context, files.room.request(upload)))
                caller_of(request).admit(f"the device {upload.device_id}")  # authenticated: its address is signed
                return await _take(request, upload, query)
    except PermissionDeniedError as error:
        return _refused(403, "AuthenticationFailed", error.message)
    except ConflictError as error:
        return _refused(409, "BlobAlreadyExists", error.message)
    except InvalidArgumentError as error:
        return _refused(400, "InvalidInput", error.message)
    except QuotaExceededError as error:
        return _refused(503, "ServerBusy", error.message, {"Retry-After": str(error.retry_after_s)})
    except TimeoutError:
        message = f"body: expected within {PUT_TIMEOUT_S:.0f} seconds; send smaller blocks"
        return _refused(408, "OperationTimedOut", message, {"Connection": "close"})


async def _take(request: Request, upload: Upload, query: dict[str, str]) -> Response:
    """What one request brings of an upload."""
    files, comp = hub_of(request).files, query.get("comp")
    if comp == "blocklist":
        blocks = _block_names(await _body(request, MAX_LIST_BYTES))
        return _created(await _in_thread(files, partial(files.finish, upload, _content_type(request), blocks)))
    block = _block_of(query)
    _check_size(int(request.headers.get("content-length", "0") or 0), MAX_PUT_BYTES)
    with contextlib.ExitStack() as held:  # its end, of what is not kept: closed and unlinked
        part = await _in_thread(files, partial(held.enter_context, files.part(upload, block)))
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            _check_size(size, MAX_PUT_BYTES)
            await _in_thread(files, partial(part.write, chunk))
        if block is None:
            return _created(await _in_thread(files, partial(files.finish, upload, _content_type(request), part)))
        await _in_thread(files, part.keep)
    return Response(status_code=201)


async def _in_thread(files: FileUploads, work: Callable[[], T]) -> T:
    return await in_thread(work, files.threads)


def document(found: Upload) -> dict[str, Any]:
    """A file as JSON."""
    return dataclasses.asdict(found)


async def _body(request: Request, limit: int) -> bytes:
    found = b""
    async for chunk in request.stream():
        found += chunk
        _check_size(len(found), limit)
    return found


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise InvalidArgumentError(f"body: expected at most {limit} bytes, got more", remedy="Send it in blocks.")


def _block_of(query: dict[str, str]) -> str | None:
    comp = query.get("comp")
    if comp not in (None, "block") or (comp == "block" and "blockid" not in query):
        raise InvalidArgumentError("comp: expected block with blockid, or blocklist", remedy="Use Put Blob.")
    return query["blockid"] if comp == "block" else None


def _block_names(body: bytes) -> list[str]:
    """Names of blocks in order, from Put Block List's XML.

    No document type is read: with none there are no entities to expand.
    """
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - few files are larger than what is sent at once

    if b"<!" in body.replace(b"<!--", b""):
        raise InvalidArgumentError("block list: expected no document type", remedy="Use Put Block List.")

    try:
        root = ET.fromstring(body)  # noqa: S314 - without a document type
    except ET.ParseError as error:
        raise InvalidArgumentError("block list: expected XML", remedy="Use Put Block List.") from error
    return [each.text or "" for each in root if each.tag in ("Latest", "Uncommitted")]


def _content_type(request: Request) -> str:
    text = request.headers.get("x-ms-blob-content-type") or request.headers.get("content-type") or ""
    return text if re.fullmatch(r"[A-Za-z0-9.+/ ;=_-]{1,100}", text) else ""


def _created(made: Upload) -> Response:
    headers = {
        "ETag": f'"{made.sha256[:32]}"',
        "Last-Modified": formatdate(made.changed_ms / 1000, usegmt=True),
        "x-ms-request-server-encrypted": "false",
        "x-ms-version": "2021-08-06",
    }
    return Response(status_code=201, headers=headers)


def _refused(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    safe = message.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{safe}</Message></Error>'
    return Response(body, status, headers={"x-ms-error-code": code, **(headers or {})}, media_type="application/xml")


_row = partial(Route, tag="hub")
_FILES = DEVICE + "/files"
ROUTES = (
    _row("GET", _FILES, list_files, READER),
    _row("GET", _FILES + "/{upload_id}", download_file, READER, answer=FileResponse),
    _row("DELETE", _FILES + "/{upload_id}", delete_file, CONTRIBUTOR),
    # Its address is signed (hub/devices/files.py). A wrong query is answered as Put Blob does.
    Route("PUT", UPLOAD, put_upload, PUBLIC, body_limit=MAX_PUT_BYTES, reads_query=True, answer=Response),
)

# SPDX-License-Identifier: Apache-2.0
"""Files of artifacts: whole, one range of them (RFC 9110 §14), their head, or their MD5 sum.

A range that makes no sense, and more than one range, is refused (416): a client that resumes asks for one, and many
overlapping ones would make a small request a large answer.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from uuid import UUID

from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.hawkbit.call import FILE, actions, caller, row
from armillary.api.hawkbit.controller import chunk_of
from armillary.api.http.routes import service_of
from armillary.engines.records.schema.bridge_rows import BridgeArtifact
from armillary.errors import DataFolderError
from armillary.service.endpoint.problem import RequestRefusedError
from armillary.service.endpoint.ranges import parse_range
from armillary.wire.hawkbit.artifact import MD5_SUFFIX
from armillary.wire.hawkbit.documents import md5_sum

# Read and sent at a time: large enough that a thread for each costs little, small enough for many downloads.
CHUNK_BYTES: Final = 256 << 10
OCTETS: Final = "application/octet-stream"


async def download(request: Request, module: UUID, filename: str) -> Response:
    """The file of an artifact that is offered to the controller."""
    is_sum = filename.upper().endswith(MD5_SUFFIX)
    wanted = filename[: -len(MD5_SUFFIX)] if is_sum else filename
    found = await run_in_threadpool(actions(request).artifact, caller(request).device, module, wanted)
    if is_sum:
        headers = {"Content-Disposition": f'attachment; filename="{found.filename}{MD5_SUFFIX}"'}
        return PlainTextResponse(md5_sum(chunk_of(found)), headers=headers)
    return _file(request, found, service_of(request).bridge.artifacts.path(found))


def _file(request: Request, found: BridgeArtifact, path: Path) -> Response:
    etag = f'"{found.sha256.hex()}"'
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Content-Disposition": f'attachment; filename="{found.filename}"',
    }
    given = request.headers.getlist("range")
    condition = request.headers.get("if-range")
    first, last, status = 0, found.size - 1, 200
    if given and condition in (None, etag):  # else the client has a part of another file (RFC 9110 §13.1.5)
        try:
            first, last = parse_range(",".join(given).encode("latin-1"), found.size)
        except RequestRefusedError:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{found.size}"})
        status = 206
        headers["Content-Range"] = f"bytes {first}-{last}/{found.size}"
    headers["Content-Length"] = str(last - first + 1)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=OCTETS)
    return StreamingResponse(_read(path, first, last - first + 1), status, headers=headers, media_type=OCTETS)


async def _read(path: Path, offset: int, size: int) -> AsyncIterator[bytes]:
    """Bytes of a file, read in threads. Raises DataFolderError, which ends the answer early, if it is too short."""
    descriptor = await run_in_threadpool(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while size:
            part = await run_in_threadpool(os.pread, descriptor, min(CHUNK_BYTES, size), offset)
            if not part:
                raise DataFolderError(f"{path} is too short", remedy="Restore it from a backup.")
            offset += len(part)
            size -= len(part)
            yield part
    finally:
        os.close(descriptor)


ROUTES = (row("GET", FILE, download, answer=Response), row("HEAD", FILE, download, answer=Response))

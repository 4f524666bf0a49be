# SPDX-License-Identifier: Apache-2.0
"""Native routes of pictures for tiles and floor plans of dashboards: keep one, list them, look at one."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Annotated, Any, Final

from fastapi import Path
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import actor_of, platform_of
from armillary.api.native.parameters import V1, CatalogPage, CatalogQuery, Change, Force, Search, StrictBody
from armillary.api.views import authored as views_authored
from armillary.engines.documents.document import ID_PATTERN
from armillary.engines.documents.pictures import KIND
from armillary.twin.author.picture import MAX_CONTENT_CHARACTERS, decoded
from armillary.wire.picture.policy import PICTURE_POLICY

PicturePath = Annotated[
    str,
    Path(
        min_length=1,
        max_length=128,
        description="Id of a picture: a file name such as `pump-house.png`",
        json_schema_extra={"pattern": ID_PATTERN},
    ),
]
# The content and a name beside it.
BODY_LIMIT_BYTES: Final = MAX_CONTENT_CHARACTERS + 4096
# Whoever opens a picture by its address gets it with a policy that lets it do nothing.
PICTURE_HEADERS: Final = {
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": PICTURE_POLICY,
    "X-Content-Type-Options": "nosniff",
}


class PictureBody(StrictBody):
    """A picture: the bytes of a PNG, JPEG or SVG file as base64."""

    name: Annotated[str, Field(min_length=1, max_length=128)]
    catalog: Annotated[str, Field(max_length=128)] | None = None
    content: str


def list_pictures(request: Request, page: CatalogPage, search: Search = None) -> dict[str, Any]:
    """Pictures by id, without their contents; a tile shows one by its `image`."""
    return platform_of(request).picture_operations.listed(*page, search)


def show_picture(request: Request, picture_id: PicturePath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """A picture, without its content."""
    return platform_of(request).picture_operations.show(picture_id, catalog)


def put_picture(request: Request, picture_id: PicturePath, body: PictureBody, change: Change) -> dict[str, Any]:
    """Keep a picture. What it is, its bytes say; scripts, links, texts and places in it are left out (`removed`)."""
    data, owner = decoded(body.content), body.catalog
    if change.catalog is not None and owner is None and "catalog" not in body.model_fields_set:
        owner = change.catalog
    operations = platform_of(request).picture_operations
    return operations.put(actor_of(request), picture_id, body.name, owner, data, *change)


def delete_picture(
    request: Request, picture_id: PicturePath, change: Change, *, force: Force = False
) -> dict[str, Any]:
    """Delete a picture; one that a dashboard shows is refused, unless `force`. It cannot be brought back."""
    return platform_of(request).picture_operations.delete(actor_of(request), picture_id, *change, force=force)


def picture_content(request: Request, picture_id: PicturePath, catalog: CatalogQuery = None) -> Response:
    """The picture itself."""
    content, media_type = platform_of(request).picture_operations.content(picture_id, catalog)
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return Response(content, media_type=media_type, headers={**PICTURE_HEADERS, "ETag": etag})


def picture_uses(request: Request, picture_id: PicturePath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """Which dashboards show a picture, with their tiles."""
    return views_authored.uses_of(platform_of(request), KIND, picture_id, catalog)


_row = partial(Route, tag="pictures", narrowed=True)
_ONE = V1 + "/pictures/{picture_id}"
ROUTES = (
    _row("GET", V1 + "/pictures", list_pictures, READER),
    _row("GET", _ONE, show_picture, READER),
    _row("PUT", _ONE, put_picture, CONTRIBUTOR, body_limit=BODY_LIMIT_BYTES),
    _row("DELETE", _ONE, delete_picture, CONTRIBUTOR),
    _row("GET", _ONE + "/content", picture_content, READER),
    _row("GET", _ONE + "/uses", picture_uses, READER),
)

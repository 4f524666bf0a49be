# SPDX-License-Identifier: Apache-2.0
"""Native routes of how a release comes about (draft, signature, publication, promotion), and of bills of materials."""

from __future__ import annotations

import base64
import binascii
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.http.callers import caller_of
from armillary.api.http.documents import row_document
from armillary.api.http.route import ADMINISTRATOR, CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.parameters import CATALOG, V1, CatalogPath, FeedName, Name, StrictBody
from armillary.api.native.service.requests import BASE64
from armillary.api.views import service as views
from armillary.errors import InvalidArgumentError
from armillary.service.verifier.release_drafts import MAX_OS_ABI
from armillary.wire.image.bill_of_materials import MAX_BYTES, MEDIA_TYPE, media_type_of
from armillary.wire.image.section import SECURITY_VERSION_LIMIT

# Component packages of the largest chip in base64: a device image has at most 80 MB (image/budget.toml).
DRAFT_BODY_LIMIT_BYTES = 128 << 20
MAX_COMPONENTS = 32
AllowOlder = Annotated[bool, Query(description="Also where devices of the feed are given a newer one now")]
Package = Annotated[str, Field(min_length=1, json_schema_extra=dict(BASE64))]


class DraftBody(StrictBody):
    """A release to make as a draft.

    Attributes:
        chip: Chip profile name.
        version: New version of this chip.
        feed: Who is offered it once it is published.
        os_abi: What it gives to applications; 0 for not said.
        security_version: Anti-rollback version of components that are built here.
        components: Component name to package, base64; all of the chip's. None builds them: for virtual chips.
    """

    chip: Name
    version: Annotated[str, Field(min_length=1, max_length=32)]
    feed: FeedName = "RetailEval"
    os_abi: Annotated[int, Field(ge=0, le=MAX_OS_ABI)] = 0
    security_version: Annotated[int, Field(ge=0, le=SECURITY_VERSION_LIMIT)] | None = None
    components: Annotated[dict[Name, Package], Field(max_length=MAX_COMPONENTS)] | None = None


def create_draft(request: Request, body: DraftBody) -> dict[str, Any]:
    """Make a release as a draft: nobody is offered it, and no device that boots it is let in."""
    service = service_of(request)
    security_version = body.security_version
    if security_version is None:
        security_version = service.releases.highest_security_version(body.chip)
    made = service.attestation.drafts.create(
        body.chip,
        body.version,
        actor=operator_of(request).name,
        packages=None if body.components is None else {n: _package(n, t) for n, t in body.components.items()},
        security_version=security_version,
        feed=body.feed,
        os_abi=body.os_abi,
    )
    return views.release(service, made.release_id)


def sign_release(request: Request, release_id: UUID) -> dict[str, Any]:
    """Sign every component of a draft with the service's OS signing key."""
    service_of(request).attestation.drafts.sign(release_id, actor=operator_of(request).name)
    return views.release(service_of(request), release_id)


def publish_draft(
    request: Request,
    release_id: UUID,
    allow_older: AllowOlder = False,  # noqa: FBT002 - a query parameter
) -> dict[str, Any]:
    """Publish a signed draft: groups of its feed are offered it, and devices that boot it are let in."""
    drafts, actor = service_of(request).attestation.drafts, operator_of(request).name
    drafts.publish(release_id, actor=actor, allow_older=allow_older)
    return views.release(service_of(request), release_id)


def promote_release(
    request: Request,
    release_id: UUID,
    allow_older: AllowOlder = False,  # noqa: FBT002 - a query parameter
) -> dict[str, Any]:
    """Give a release of the evaluation feed to everybody."""
    drafts, actor = service_of(request).attestation.drafts, operator_of(request).name
    drafts.promote(release_id, actor=actor, allow_older=allow_older)
    return views.release(service_of(request), release_id)


async def put_release_bill(request: Request, release_id: UUID) -> dict[str, Any]:
    """Keep the bill of materials of a release (CycloneDX or SPDX, JSON), in the place of the one before."""
    document, bills, actor = await request.body(), service_of(request).updates.bills, operator_of(request).name
    async with caller_of(request).turn():
        return row_document(await run_in_threadpool(bills.put_of_release, release_id, document, actor=actor))


def release_bill(request: Request, release_id: UUID) -> Response:
    """The bill of materials of a release, as it was given."""
    bill, document = service_of(request).updates.bills.of_release(release_id)
    return Response(document, media_type=media_type_of(bill.spec_version))


async def put_image_bill(request: Request, catalog: CatalogPath, image_id: UUID) -> dict[str, Any]:
    """Keep the bill of materials of an image (CycloneDX or SPDX, JSON), in the place of the one before."""
    document, bills, actor = await request.body(), service_of(request).updates.bills, operator_of(request).name
    async with caller_of(request).turn():
        return row_document(await run_in_threadpool(bills.put_of_image, catalog, image_id, document, actor=actor))


def image_bill(request: Request, catalog: CatalogPath, image_id: UUID) -> Response:
    """The bill of materials of an image, as it was given."""
    bill, document = service_of(request).updates.bills.of_image(catalog, image_id)
    return Response(document, media_type=media_type_of(bill.spec_version))


def _package(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgumentError(f"component {name}: expected base64", remedy="Encode the package.") from error


_release = partial(Route, tag="releases")
_put = partial(Route, body_limit=MAX_BYTES, body_media_type=MEDIA_TYPE)
_get = partial(Route, answer=Response, media_type=MEDIA_TYPE)
_RELEASE, _IMAGE = V1 + "/releases/{release_id}", CATALOG + "/images/{image_id}"
ROUTES = (
    _release(
        "POST", V1 + "/releases/drafts", create_draft, ADMINISTRATOR, status=201, body_limit=DRAFT_BODY_LIMIT_BYTES
    ),
    _release("POST", _RELEASE + "/sign", sign_release, ADMINISTRATOR),
    _release("POST", _RELEASE + "/publish", publish_draft, ADMINISTRATOR),
    _release("POST", _RELEASE + "/promote", promote_release, ADMINISTRATOR),
    _put("POST", _RELEASE + "/sbom", put_release_bill, ADMINISTRATOR, tag="releases"),
    _get("GET", _RELEASE + "/sbom", release_bill, READER, tag="releases"),
    _put("POST", _IMAGE + "/sbom", put_image_bill, CONTRIBUTOR, tag="images"),
    _get("GET", _IMAGE + "/sbom", image_bill, READER, tag="images"),
)

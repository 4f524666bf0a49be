# SPDX-License-Identifier: Apache-2.0
"""Native routes of advisories: which there are, who is affected, what is known of images; feeds and their keys."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Path, Query
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from armillary.api.http.callers import caller_of
from armillary.api.http.route import ADMINISTRATOR, CONTRIBUTOR, READER, Route
from armillary.api.http.routes import actor_of, operator_of, service_of
from armillary.api.http.tenure import since_ms
from armillary.api.native.device_ids import DevicePath, attesting_device
from armillary.api.native.parameters import (
    CATALOG,
    DEVICE,
    V1,
    After,
    CatalogFilter,
    CatalogPath,
    Limit,
    NumberAfter,
    StrictBody,
)
from armillary.api.native.service.schedules import GroupPath, ProductPath
from armillary.api.views import advisories as views
from armillary.service.advisories.uploads import MAX_BUNDLE_BYTES, MAX_PART_BYTES

# A feed that is believed for longer than a year is none.
MAX_AGE_S: Final = 366 * 86_400
MAX_TIME: Final = (1 << 53) - 1  # what a JSON number is exact for
STATES: Final = ("affected", "under-investigation", "unknown", "fixed", "not-affected")

AdvisoryPath = Annotated[str, Path(min_length=1, max_length=128, description="Id or alias, such as CVE-2026-1234")]
FeedPath = Annotated[str, Path(max_length=63, description="Name of a feed", json_schema_extra={"pattern": "^[a-z0-9]"})]
KeyPath = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the public key, hex")]
InField = Annotated[bool, Query(description="Only those that affect devices")]
StateQuery = Annotated[str, Query(max_length=32, json_schema_extra={"enum": list(STATES)})]
Offset = Annotated[int, Query(ge=0, le=MAX_BUNDLE_BYTES, description="Bytes received so far")]
AsOf = Annotated[
    int | None,
    Query(alias="as_of", ge=1, le=MAX_TIME, description="Unix seconds: as the service would have answered then"),
]
WithAudit = Annotated[bool, Query(description="With the audit lines of its imports; of all catalogs only")]


class KeyBody(StrictBody):
    """A public key whose signature makes a bundle a feed's.

    Attributes:
        name: Whose it is.
        public_key: PEM of a P-256 public key.
        feed: The only feed that it may sign; empty for all.
    """

    name: Annotated[str, Field(min_length=1, max_length=64)]
    public_key: Annotated[str, Field(min_length=1, max_length=4096)]
    feed: Annotated[str, Field(max_length=63)] = ""


class UploadBody(StrictBody):
    """A bundle that is to be uploaded: its size in bytes."""

    size: Annotated[int, Field(ge=1, le=MAX_BUNDLE_BYTES)]


class AgeBody(StrictBody):
    """After how many seconds a feed is stale, so that nothing is called good by it."""

    max_age_s: Annotated[int, Field(ge=60, le=MAX_AGE_S)]


class CountryBody(StrictBody):
    """The country where devices of a group are, ISO 3166-1 alpha-2 such as `DE`; empty: not said."""

    country: Annotated[str, Field(max_length=2)]


def list_advisories(
    request: Request,
    catalog: CatalogFilter = None,
    in_field: InField = False,  # noqa: FBT002 - a query parameter
    limit: Limit = 50,
    after: NumberAfter = None,
) -> dict[str, Any]:
    """Advisories that affect an image or a release, the most urgent first: exploited, likely, grave."""
    found = service_of(request).advisories.answers
    rows, cursor = found.page(catalog, in_field=in_field, limit=limit, after=after)
    return {"items": rows, "next": cursor, "basis": found.basis()}


def show_advisory(
    request: Request,
    advisory_id: AdvisoryPath,
    catalog: CatalogFilter = None,
    at: AsOf = None,
    audit: WithAudit = False,  # noqa: FBT002 - a query parameter
) -> dict[str, Any]:
    """An advisory: its records, images and releases by their states, devices, countries, and how many are repaired."""
    answers = service_of(request).advisories.answers
    return answers.show(advisory_id, catalog, at=at, with_audit=audit and catalog is None)


def list_advisory_devices(
    request: Request,
    advisory_id: AdvisoryPath,
    catalog: CatalogFilter = None,
    state: StateQuery = "affected",
    limit: Limit = 100,
    after: After = None,
) -> dict[str, Any]:
    """Devices by how they stand to an advisory, and how many there are in all."""
    answers = service_of(request).advisories.answers
    return answers.devices(advisory_id, catalog, state=state, limit=limit, after=after)


def show_device_advisory(
    request: Request, device_id: DevicePath, advisory_id: AdvisoryPath, at: AsOf = None
) -> dict[str, Any]:
    """How a device stands to an advisory, or stood at a time: what it ran, and which records, bills and feeds say so.

    An owner sees nothing from before owning the device.
    """
    known = attesting_device(request, device_id)
    since = -(-since_ms(request, known) // 1000)
    return service_of(request).advisories.answers.device(advisory_id, known, at=at, owned_since=since)


def advisory_coverage(request: Request, catalog: CatalogFilter = None) -> dict[str, Any]:
    """What can be said of each image and release: `none-known` is the best that there is, with its date."""
    return {"items": service_of(request).advisories.answers.coverage(catalog), "next": None}


def list_advisory_feeds(request: Request) -> dict[str, Any]:
    """Feeds with the edition in force, and the import that is running."""
    service = service_of(request)
    now = service.context.now()
    rows = [views.feed(each, now) for each in service.advisories.feeds()]
    return {"items": rows, "next": None, "import": service.advisories.importing.state}


def list_feed_editions(request: Request, feed_name: FeedPath) -> dict[str, Any]:
    """The imports of a feed, the newest first."""
    found = service_of(request).advisories.editions(feed_name)
    return {"items": [views.edition(each) for each in found], "next": None}


def set_feed_age(request: Request, feed_name: FeedPath, body: AgeBody) -> dict[str, Any]:
    """Say after how long a feed is stale."""
    service = service_of(request)
    made = service.advisories.set_max_age(feed_name, body.max_age_s, actor=operator_of(request).name)
    return views.feed(made, service.context.now())


def list_feed_keys(request: Request) -> dict[str, Any]:
    """Whose signature makes a bundle a feed's; revoked keys too."""
    return {"items": [views.key(each) for each in service_of(request).advisories.keys.list()], "next": None}


def trust_feed_key(request: Request, body: KeyBody) -> dict[str, Any]:
    """Take bundles that a key signs."""
    keys, actor = service_of(request).advisories.keys, operator_of(request).name
    return views.key(keys.trust(body.name, body.public_key, actor=actor, feed=body.feed))


def revoke_feed_key(request: Request, key_id: KeyPath) -> dict[str, Any]:
    """Take no bundle any more that a key signs; what was imported stays."""
    return views.key(service_of(request).advisories.keys.revoke(key_id, actor=operator_of(request).name))


def begin_feed_upload(request: Request, body: UploadBody) -> dict[str, Any]:
    """Begin to upload a bundle; its bytes come in parts of at most 4 MiB, in order."""
    made = service_of(request).advisories.uploads.begin(body.size)
    return {"upload_id": str(made.upload_id), "size": made.size, "received": 0, "statement": None}


async def put_feed_part(request: Request, bundle: UUID, offset: Offset) -> dict[str, Any]:
    """Take the next part of a bundle; with the last one its import begins, and the answer has what it says."""
    part, advisories, actor = await request.body(), service_of(request).advisories, operator_of(request).name

    def take() -> dict[str, Any]:
        upload = advisories.uploads.take(bundle, offset, part)
        whole = upload.received == upload.size
        statement = advisories.begin_import(bundle, upload.path, actor=actor) if whole else None
        return {
            "upload_id": str(bundle),
            "size": upload.size,
            "received": upload.received,
            "statement": statement,
        }

    async with caller_of(request).turn():
        return await run_in_threadpool(take)


def end_feed_upload(request: Request, bundle: UUID) -> dict[str, Any]:
    """Give an upload up; nothing of it stays."""
    service_of(request).advisories.uploads.end(bundle)
    return {"upload_id": str(bundle)}


def show_group_country(
    request: Request, catalog: CatalogPath, product: ProductPath, device_group: GroupPath
) -> dict[str, Any]:
    """Where devices of a group are."""
    return {"country": service_of(request).registry.groups.get(catalog, product, device_group).country}


def set_group_country(
    request: Request, catalog: CatalogPath, product: ProductPath, device_group: GroupPath, body: CountryBody
) -> dict[str, Any]:
    """Say where devices of a group are: reports to authorities count devices by member states."""
    groups, actor = service_of(request).registry.groups, actor_of(request).name
    return {"country": groups.update(catalog, product, device_group, actor=actor, country=body.country).country}


_row = partial(Route, tag="advisories")
_ADVISORIES, _FEEDS = V1 + "/advisories", V1 + "/advisory-feeds"
_KEYS, _UPLOADS = V1 + "/advisory-feed-keys", V1 + "/advisory-feed-uploads"
_COUNTRY = CATALOG + "/products/{product}/device-groups/{device_group}/country"
ROUTES = (
    _row("GET", _ADVISORIES, list_advisories, READER, narrowed=True),
    _row("GET", _ADVISORIES + "/{advisory_id}", show_advisory, READER, narrowed=True),
    _row("GET", _ADVISORIES + "/{advisory_id}/devices", list_advisory_devices, READER, narrowed=True),
    _row("GET", DEVICE + "/advisories/{advisory_id}", show_device_advisory, READER),
    _row("GET", V1 + "/advisory-coverage", advisory_coverage, READER, narrowed=True),
    _row("GET", _FEEDS, list_advisory_feeds, READER),
    _row("GET", _FEEDS + "/{feed_name}/editions", list_feed_editions, READER),
    _row("PUT", _FEEDS + "/{feed_name}/max-age", set_feed_age, ADMINISTRATOR),
    _row("GET", _KEYS, list_feed_keys, READER),
    _row("POST", _KEYS, trust_feed_key, ADMINISTRATOR, status=201),
    _row("DELETE", _KEYS + "/{key_id}", revoke_feed_key, ADMINISTRATOR),
    _row("POST", _UPLOADS, begin_feed_upload, CONTRIBUTOR),
    _row(
        "PUT",
        _UPLOADS + "/{bundle}",
        put_feed_part,
        CONTRIBUTOR,
        body_limit=MAX_PART_BYTES,
        body_media_type="application/octet-stream",
    ),
    _row("DELETE", _UPLOADS + "/{bundle}", end_feed_upload, CONTRIBUTOR),
    _row("GET", _COUNTRY, show_group_country, READER),
    _row("PUT", _COUNTRY, set_group_country, CONTRIBUTOR),
)

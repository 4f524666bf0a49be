# SPDX-License-Identifier: Apache-2.0
"""Native routes of roll-outs, and whether those of a catalog need a second person."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.requests import Request

from armillary.api.http.documents import row_document
from armillary.api.http.route import ADMINISTRATOR, CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.http.scope import CheckedCatalog
from armillary.api.native.device_labels import with_names
from armillary.api.native.parameters import (
    CATALOG,
    V1,
    After,
    CatalogFilter,
    CatalogPath,
    Limit,
    Name,
    NewestPage,
    StrictBody,
    Text,
)
from armillary.api.native.service.requests import CatalogRolloutBody, ReasonBody, RolloutBody
from armillary.api.views import service as views
from armillary.rollout import policy as rollout_policy
from armillary.service.updates.rollouts import Rollouts


class OsRolloutBody(StrictBody):
    """A roll-out of an OS release.

    Attributes:
        feed: The OS feed whose groups get it; at the end of one for all catalogs the release is promoted into it.
        catalog: The only catalog whose devices get it, then and from its end on; null: all.
        policy: Fields of a roll-out policy (docs/concepts/rollouts.md); absent ones take their defaults.
    """

    feed: Name = "Retail"
    catalog: Name | None = None
    policy: dict[str, Any] = Field(default_factory=dict)


class ApprovalBody(StrictBody):
    """Whether roll-outs of a catalog wait for somebody else than who made them."""

    needed: Annotated[bool, Field(strict=True)]


def list_rollouts(
    request: Request,
    page: NewestPage,
    catalog: CatalogFilter = None,
    state: Text = None,
    order: Annotated[Literal["newest", "oldest"], Query(description="Which roll-out comes first")] = "newest",
) -> dict[str, Any]:
    """Roll-outs, newest first."""
    rising = order == "oldest"
    return views.rollouts(
        service_of(request), catalog=catalog, state=state, limit=page.limit, after=page.after, rising=rising
    )


def start_rollout(request: Request, body: RolloutBody) -> dict[str, Any]:
    """Bring a set of images to a device group in cohorts."""
    return _started(request, body.catalog, body)


def start_catalog_rollout(request: Request, catalog: CatalogPath, body: CatalogRolloutBody) -> dict[str, Any]:
    """Bring a set of images to a device group of a catalog in cohorts."""
    return _started(request, catalog, body)


def preview_rollout(request: Request, catalog: CatalogPath, body: CatalogRolloutBody) -> dict[str, Any]:
    """What such a roll-out would do, to which devices, and whether a second person is needed; nothing is started."""
    found = service_of(request).updates.rollouts.previews.of(
        catalog, body.product, body.group, body.image_ids, policy=rollout_policy.from_json(body.policy)
    )
    return row_document(found)


def preview_os_rollout(request: Request, release_id: UUID, body: OsRolloutBody) -> dict[str, Any]:
    """What a roll-out of an OS release would do; nothing is started."""
    found = service_of(request).updates.os_rollouts.preview(
        release_id, feed=body.feed, catalog=body.catalog, policy=rollout_policy.from_json(body.policy)
    )
    return row_document(found)


def start_os_rollout(request: Request, release_id: UUID, body: OsRolloutBody) -> dict[str, Any]:
    """Bring an OS release to the device groups of a feed in cohorts, across catalogs."""
    row = service_of(request).updates.os_rollouts.start(
        release_id,
        actor=operator_of(request).name,
        feed=body.feed,
        catalog=body.catalog,
        policy=rollout_policy.from_json(body.policy),
    )
    return views.rollout_document(row)


def show_rollout(request: Request, rollout_id: UUID, catalog: CatalogFilter = None) -> dict[str, Any]:
    """A roll-out and how far it got."""
    return views.rollout(service_of(request), rollout_id, catalog=catalog)


def rollout_devices(
    request: Request,
    rollout_id: UUID,
    catalog: CatalogFilter = None,
    failed: Annotated[bool, Query(description="Only devices that failed")] = False,  # noqa: FBT002 - a query parameter
    limit: Limit = views.PAGE_ROWS,
    after: After = None,
) -> dict[str, Any]:
    """Where each started device of a roll-out stands."""
    service = service_of(request)
    views.rollout(service, rollout_id, catalog=catalog)
    page = views.rollout_devices(service, rollout_id, failed=failed, limit=limit, after=after)
    return with_names(request, page)


def approve_rollout(request: Request, rollout_id: UUID, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Let a proposed roll-out begin: the word of a second person, not of who made it."""
    rollouts, actor = _rollouts(request, rollout_id, catalog), operator_of(request).name
    return views.rollout_document(rollouts.approve(rollout_id, actor=actor))


def halt_rollout(request: Request, rollout_id: UUID, body: ReasonBody, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Stop a roll-out where it is: no further device is started."""
    rollouts, actor = _rollouts(request, rollout_id, catalog), operator_of(request).name
    return views.rollout_document(rollouts.hold(rollout_id, reason=body.reason, actor=actor))


def resume_rollout(request: Request, rollout_id: UUID, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Let a halted roll-out go on."""
    rollouts, actor = _rollouts(request, rollout_id, catalog), operator_of(request).name
    return views.rollout_document(rollouts.resume(rollout_id, actor=actor))


def roll_back_rollout(
    request: Request, rollout_id: UUID, body: ReasonBody, catalog: CatalogFilter = None
) -> dict[str, Any]:
    """Give every started device what it had before; of a completed roll-out too, while what it brought is in force."""
    rollouts, actor = _rollouts(request, rollout_id, catalog), operator_of(request).name
    return views.rollout_document(rollouts.roll_back(rollout_id, reason=body.reason, actor=actor, catalog=catalog))


def cancel_rollout(
    request: Request, rollout_id: UUID, body: ReasonBody, catalog: CatalogFilter = None
) -> dict[str, Any]:
    """Stop deciding for the device group; its deployment stays the one from before."""
    rollouts, actor = _rollouts(request, rollout_id, catalog), operator_of(request).name
    return views.rollout_document(rollouts.cancel(rollout_id, reason=body.reason, actor=actor))


def show_approval(request: Request, catalog: CatalogPath) -> dict[str, Any]:
    """Whether roll-outs of a catalog wait for a second person."""
    service = service_of(request)
    name = service.registry.catalogs.get(catalog).name
    return {"catalog": name, "needed": service.updates.rollouts.needs_approval(name)}


def set_approval(request: Request, catalog: CatalogPath, body: ApprovalBody) -> dict[str, Any]:
    """Say whether roll-outs wait for a second person; while they do, plain deployments are refused."""
    service = service_of(request)
    name = service.registry.catalogs.get(catalog).name
    actor = operator_of(request).name
    return {
        "catalog": name,
        "needed": service.updates.rollouts.set_needs_approval(name, needed=body.needed, actor=actor),
    }


def _started(request: Request, catalog: str, body: CatalogRolloutBody) -> dict[str, Any]:
    row = service_of(request).updates.rollouts.start(
        catalog,
        body.product,
        body.group,
        body.image_ids,
        actor=operator_of(request).name,
        policy=rollout_policy.from_json(body.policy),
    )
    return views.rollout_document(row)


def _rollouts(request: Request, rollout_id: UUID, catalog: CheckedCatalog | None) -> Rollouts:
    """What changes roll-outs, where this one is the caller's."""
    views.rollout(service_of(request), rollout_id, catalog=catalog)
    return service_of(request).updates.rollouts


_rollout = partial(Route, tag="rollouts", narrowed=True)
_OS = V1 + "/releases/{release_id}/rollout"
_ROLLOUT, _APPROVAL = V1 + "/rollouts/{rollout_id}", CATALOG + "/rollout-approval"
ROUTES = (
    _rollout("GET", V1 + "/rollouts", list_rollouts, READER),
    _rollout("POST", V1 + "/rollouts", start_rollout, CONTRIBUTOR, status=201, narrowed=False),
    _rollout("POST", CATALOG + "/rollouts", start_catalog_rollout, CONTRIBUTOR, status=201, narrowed=False),
    _rollout("POST", CATALOG + "/rollout-preview", preview_rollout, CONTRIBUTOR, narrowed=False),
    _rollout("POST", _OS, start_os_rollout, ADMINISTRATOR, status=201, narrowed=False),
    _rollout("POST", _OS + "-preview", preview_os_rollout, ADMINISTRATOR, narrowed=False),
    _rollout("GET", _ROLLOUT, show_rollout, READER),
    _rollout("GET", _ROLLOUT + "/devices", rollout_devices, READER),
    _rollout("POST", _ROLLOUT + "/approve", approve_rollout, CONTRIBUTOR),
    _rollout("POST", _ROLLOUT + "/halt", halt_rollout, CONTRIBUTOR),
    _rollout("POST", _ROLLOUT + "/resume", resume_rollout, CONTRIBUTOR),
    _rollout("POST", _ROLLOUT + "/roll-back", roll_back_rollout, CONTRIBUTOR),
    _rollout("POST", _ROLLOUT + "/cancel", cancel_rollout, CONTRIBUTOR),
    _rollout("GET", _APPROVAL, show_approval, READER, narrowed=False),
    _rollout("PUT", _APPROVAL, set_approval, ADMINISTRATOR, narrowed=False),
)

# SPDX-License-Identifier: Apache-2.0
"""Native routes of actions: preview, run, approve, cancel, undo; and when they need a second person."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.requests import Request

from armillary.api.http.documents import as_page, row_document
from armillary.api.http.route import ADMINISTRATOR, CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.http.scope import CheckedCatalog
from armillary.api.native.parameters import (
    CATALOG,
    V1,
    After,
    CatalogFilter,
    CatalogPath,
    Limit,
    SortedNumberAfter,
    StrictBody,
    Text,
    sort_query,
)
from armillary.api.native.service.requests import Reason
from armillary.api.views.security import actions as views
from armillary.api.views.service import PAGE_ROWS
from armillary.engines.records.order_words import ACTIONS
from armillary.response.action import KINDS
from armillary.response.state import STATES

if TYPE_CHECKING:
    from armillary.service.response.aims import ActionRequest

Seconds = Annotated[int, Field(ge=60, le=366 * 86_400)]
Finding = Annotated[UUID | None, Query(description="Only those about this finding")]
StateFilter = Annotated[str | None, Query(max_length=32, json_schema_extra={"enum": [*STATES, "living"]})]
KindFilter = Annotated[str | None, Query(max_length=32, json_schema_extra={"enum": list(KINDS)})]
DeviceId = Annotated[str, Field(max_length=300)]


class FloorBody(StrictBody):
    """The lowest security version of a boot component that is accepted on a chip."""

    chip: Annotated[str, Field(min_length=1, max_length=32)]
    image_type: Annotated[int, Field(ge=0, le=65_535)]
    minimum: Annotated[int, Field(ge=0, le=2**31 - 1)]


class TargetBody(StrictBody):
    """What an action is aimed at: one of these.

    Attributes:
        devices: Ids of at most 500 devices.
        device_group: PRODUCT/GROUP.
        finding: Id of a finding: its devices, its image, its roll-out or its advisory, whichever the kind takes.
        advisory: Id or alias: the devices that it affects, or the roll-outs that bring what it affects.
        image: Id of an image: the devices that report it, or the roll-outs that bring it.
        rollout: Id of a roll-out.
        floor: A security floor, of the whole service.
    """

    devices: Annotated[list[DeviceId], Field(min_length=1, max_length=500)] | None = None
    device_group: Annotated[str, Field(min_length=3, max_length=200)] | None = None
    finding: UUID | None = None
    advisory: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    image: UUID | None = None
    rollout: UUID | None = None
    floor: FloorBody | None = None


class ActionBody(StrictBody):
    """An action to preview or to run.

    Attributes:
        kind: notify, quarantine, revoke, halt, roll-back, raise-floor, re-attest or deploy-fix.
        reason: Why, for people and the audit log.
        ends_after_s: Of a quarantine: seconds until it ends by itself.
        channel: Of a notice: the only notification channel that hears it.
        message: Of a notice: what is said, in a line.
        images: Of a fix: images that repair, where the newest that is known to be repaired is not meant.
        policy: Of a fix: fields of the roll-out's policy; absent ones take their defaults.
    """

    kind: Annotated[str, Field(min_length=1, max_length=16)]
    target: TargetBody
    reason: Reason
    ends_after_s: Seconds | None = None
    channel: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    message: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    images: Annotated[list[UUID], Field(min_length=1, max_length=16)] | None = None
    policy: dict[str, Any] | None = None


class ApprovalBody(StrictBody):
    """What a catalog asks of actions.

    Attributes:
        second_person_above: Beyond so many devices an action waits for a second person.
        expires_after_s: Seconds after which an action expires that nobody approved.
    """

    second_person_above: Annotated[int, Field(ge=0, le=1_000_000)]
    expires_after_s: Annotated[int, Field(ge=60, le=30 * 86_400)]


def preview_action(request: Request, body: ActionBody, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Say what an action would do now: how many devices, the first of them, what it touches. Nothing is changed."""
    return row_document(service_of(request).response.actions.preview(_asked(request, body, catalog)))


def run_action(request: Request, body: ActionBody, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Do an action at once, or have it wait for a second person where it touches too many devices."""
    asked, actor = _asked(request, body, catalog), operator_of(request).name
    return views.action(service_of(request).response.actions.run(asked, actor=actor))


def list_actions(
    request: Request,
    catalog: CatalogFilter = None,
    state: StateFilter = None,
    kind: KindFilter = None,
    finding: Finding = None,
    limit: Limit = PAGE_ROWS,
    after: SortedNumberAfter = None,
    sort: Annotated[str | None, sort_query(ACTIONS)] = None,
) -> dict[str, Any]:
    """Actions, newest first or sorted; state may also be `living`: those that have not ended."""
    found = service_of(request).response.actions.list(
        catalog=catalog, state=state, kind=kind, finding_id=finding, limit=limit, after=after, order=sort or ""
    )
    return as_page(found, views.action)


def show_action(request: Request, action_id: UUID, catalog: CatalogFilter = None) -> dict[str, Any]:
    """An action: what it is aimed at, by whom, how far it is, and why it stands there."""
    return views.action(views.of_catalog(service_of(request), action_id, catalog))


def list_action_devices(
    request: Request,
    action_id: UUID,
    catalog: CatalogFilter = None,
    state: Text = None,
    limit: Limit = 100,
    after: After = None,
) -> dict[str, Any]:
    """The devices of an action, each with where it stands: pending, done, skipped or undone."""
    views.of_catalog(service_of(request), action_id, catalog)
    found = service_of(request).response.actions.devices(action_id, state=state, limit=limit, after=after)
    return as_page(found)


def approve_action(request: Request, action_id: UUID, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Let an action begin, or go on, that waits for a person; where it waits for a second one, not for who asked."""
    found = views.of_catalog(service_of(request), action_id, catalog)
    views.check_role(found.kind, operator_of(request).role)
    actions, actor = service_of(request).response.actions, operator_of(request).name
    return views.action(actions.approve(action_id, actor=actor))


def cancel_action(request: Request, action_id: UUID, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Stop an action where it is; what it did stays until it is undone."""
    views.of_catalog(service_of(request), action_id, catalog)
    actions, actor = service_of(request).response.actions, operator_of(request).name
    return views.action(actions.cancel(action_id, actor=actor))


def undo_action(request: Request, action_id: UUID, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Undo what an action did, where its kind can be undone."""
    views.of_catalog(service_of(request), action_id, catalog)
    actions, actor = service_of(request).response.actions, operator_of(request).name
    return views.action(actions.undo(action_id, actor=actor))


def show_action_approval(request: Request, catalog: CatalogPath) -> dict[str, Any]:
    """Beyond how many devices an action of a catalog waits for a second person, and after how long it expires."""
    return row_document(service_of(request).response.approvals.get(catalog))


def set_action_approval(request: Request, catalog: CatalogPath, body: ApprovalBody) -> dict[str, Any]:
    """Say when an action needs a second person; those that wait go on waiting."""
    made = service_of(request).response.approvals.set(
        catalog,
        second_person_above=body.second_person_above,
        expires_after_s=body.expires_after_s,
        actor=operator_of(request).name,
    )
    return row_document(made)


def _asked(request: Request, body: ActionBody, catalog: CheckedCatalog | None) -> ActionRequest:
    from armillary.service.response.aims import ActionRequest as Asked  # noqa: PLC0415 - memory, as above

    views.check_role(body.kind, operator_of(request).role)
    options = {
        "ends_after_s": body.ends_after_s,
        "channel": body.channel,
        "message": body.message,
        "images": None if body.images is None else [str(each) for each in body.images],
        "policy": body.policy,
    }
    return Asked(
        kind=body.kind,
        catalog=catalog,
        target=body.target.model_dump(mode="json", exclude_none=True),
        reason=body.reason,
        options={name: value for name, value in options.items() if value is not None},
    )


_row = partial(Route, tag="actions", narrowed=True)
_ACTIONS = V1 + "/actions"
_ACTION, _APPROVAL = _ACTIONS + "/{action_id}", CATALOG + "/action-approval"
ROUTES = (
    _row("GET", _ACTIONS, list_actions, READER),
    _row("POST", _ACTIONS, run_action, CONTRIBUTOR, status=201),
    _row("POST", V1 + "/action-preview", preview_action, CONTRIBUTOR),
    _row("GET", _ACTION, show_action, READER),
    _row("GET", _ACTION + "/devices", list_action_devices, READER),
    _row("POST", _ACTION + "/approve", approve_action, CONTRIBUTOR),
    _row("POST", _ACTION + "/cancel", cancel_action, CONTRIBUTOR),
    _row("POST", _ACTION + "/undo", undo_action, CONTRIBUTOR),
    _row("GET", _APPROVAL, show_action_approval, READER, narrowed=False),
    _row("PUT", _APPROVAL, set_action_approval, ADMINISTRATOR, narrowed=False),
)

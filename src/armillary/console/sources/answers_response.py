# SPDX-License-Identifier: Apache-2.0
"""Answers about actions and playbooks: what the service does about findings and advisories, and by whose word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.api.http.documents import as_page, row_document
from armillary.api.views.security import actions as views
from armillary.console.sources.request_context import RequestContext, uuid_of
from armillary.console.sources.signed_in import Document


def list_actions(
    by: RequestContext, state: str | None, finding_id: str | None, limit: int, after: str | None, order: str = ""
) -> Document:
    """A page of actions, newest first or in an order; with ``finding_id`` those about a finding."""
    finding = None if finding_id is None else uuid_of("finding", finding_id)
    found = by.service.response.actions.list(
        catalog=by.catalog, state=state, finding_id=finding, limit=limit, after=after, order=order
    )
    return as_page(found, views.action)


def show_action(by: RequestContext, action_id: str) -> Document:
    """One action."""
    return views.action(views.of_catalog(by.service, uuid_of("action", action_id), by.catalog))


def action_devices(by: RequestContext, action_id: str, limit: int, after: str | None) -> Document:
    """A page of the devices of an action, each with where it stands."""
    found = views.of_catalog(by.service, uuid_of("action", action_id), by.catalog)
    return as_page(by.service.response.actions.devices(found.action_id, state=None, limit=limit, after=after))


def preview_action(by: RequestContext, said: Mapping[str, Any]) -> Document:
    """What an action would do now; nothing is changed."""
    return row_document(by.service.response.actions.preview(_asked(by, said)))


def run_action(by: RequestContext, said: Mapping[str, Any]) -> Document:
    """Do an action at once, or have it wait for a second person."""
    return views.action(by.service.response.actions.run(_asked(by, said), actor=by.operator.name))


def approve_action(by: RequestContext, action_id: str) -> Document:
    """Let an action begin, or go on, that waits for a person."""
    found = views.of_catalog(by.service, uuid_of("action", action_id), by.catalog)
    views.check_role(found.kind, by.operator.role)
    return views.action(by.service.response.actions.approve(found.action_id, actor=by.operator.name))


def cancel_action(by: RequestContext, action_id: str) -> Document:
    """Stop an action where it is."""
    found = views.of_catalog(by.service, uuid_of("action", action_id), by.catalog)
    return views.action(by.service.response.actions.cancel(found.action_id, actor=by.operator.name))


def undo_action(by: RequestContext, action_id: str) -> Document:
    """Undo what an action did."""
    found = views.of_catalog(by.service, uuid_of("action", action_id), by.catalog)
    return views.action(by.service.response.actions.undo(found.action_id, actor=by.operator.name))


def list_playbooks(by: RequestContext) -> Document:
    """Playbooks, and whether each is used."""
    playbooks = by.service.response.playbooks
    items = [views.playbook_use(each) for each in playbooks.list(by.catalog)]
    return {"items": items, "fault": playbooks.fault if by.catalog is None else ""}


def switch_playbook(by: RequestContext, name: str, enabled: bool) -> Document:  # noqa: FBT001 - named by every caller
    """Use a playbook, or use it no more; for all catalogs, or for that of the operator."""
    playbooks, actor = by.service.response.playbooks, by.operator.name
    return views.playbook_use(playbooks.enable(name, by.catalog, enabled=enabled, actor=actor))


def _asked(by: RequestContext, said: Mapping[str, Any]) -> Any:
    from armillary.service.response.aims import ActionRequest  # noqa: PLC0415 - memory: where nothing is done it is not used

    views.check_role(said["kind"], by.operator.role)
    return ActionRequest(
        kind=said["kind"],
        catalog=by.catalog or said["catalog"],
        target=said["target"],
        reason=said["reason"],
        options=said["options"],
    )

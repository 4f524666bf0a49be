# SPDX-License-Identifier: Apache-2.0
"""Native routes of device groups: saved queries, and who is in them now."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.requests import Request

from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import platform_of
from armillary.api.http.scope import CheckedCatalog
from armillary.api.native import authored
from armillary.api.native.device_labels import with_names
from armillary.api.native.parameters import V1, After, CatalogQuery, DocumentBody, DocumentPath, Force, IfMatch, Limit
from armillary.api.views import service as views
from armillary.platform.authored.groups import MemberPage
from armillary.twin.author.group import DeviceFacts, Group, parse_group, value_at

KIND = "group"


def list_groups(
    request: Request, catalog: CatalogQuery = None, limit: Limit = views.PAGE_ROWS, after: After = None
) -> dict[str, Any]:
    """Device groups by id."""
    return authored.listed(request, KIND, catalog, limit, after)


def show_group(request: Request, group_id: DocumentPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """A device group: the query."""
    return authored.document_of(authored.visible(request, KIND, group_id, catalog))


def put_group(
    request: Request, group_id: DocumentPath, body: DocumentBody, catalog: CatalogQuery = None, if_match: IfMatch = None
) -> dict[str, Any]:
    """Make or change a device group; with `If-Match` only the version that the caller has seen."""
    return authored.put(request, KIND, group_id, body, catalog, if_match)


def delete_group(
    request: Request,
    group_id: DocumentPath,
    catalog: CatalogQuery = None,
    if_match: IfMatch = None,
    *,
    force: Force = False,
) -> dict[str, Any]:
    """Delete a device group; no device changes. One that something uses is refused, unless `force`."""
    return authored.delete(request, KIND, group_id, catalog, if_match, force=force)


def group_uses(request: Request, group_id: DocumentPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """What uses a device group: dashboards with their tiles, rules, jobs, data exports."""
    authored.visible(request, KIND, group_id, catalog)
    return authored.uses_page(authored.uses(request, KIND, group_id, catalog))


def group_members(
    request: Request,
    group_id: DocumentPath,
    catalog: CatalogQuery = None,
    limit: Limit = views.PAGE_ROWS,
    after: After = None,
) -> dict[str, Any]:
    """Devices that are in a group now, by id, each with the values that the group's filters look at."""
    group = parse_group(authored.visible(request, KIND, group_id, catalog).content)
    return with_names(request, _members(request, group, catalog, limit, after))


def preview_group(
    request: Request,
    body: DocumentBody,
    catalog: CatalogQuery = None,
    limit: Limit = views.PAGE_ROWS,
    after: After = None,
) -> dict[str, Any]:
    """Devices that would be in a group; nothing is kept."""
    return with_names(request, _members(request, parse_group(body), catalog, limit, after))


def _members(
    request: Request, group: Group, catalog: CheckedCatalog | None, limit: int, after: str | None
) -> dict[str, Any]:
    page: MemberPage = platform_of(request).groups.members(group, catalog=catalog, after=after, limit=limit)
    return {"items": [_member(group, each) for each in page.items], "next": page.next_after}


def _member(group: Group, facts: DeviceFacts) -> dict[str, Any]:
    values = {str(each.field): value_at(each.field, facts) for each in group.filters}
    return {"device_id": facts.device_id, **facts.fields, "values": values}


_row = partial(Route, tag="device groups", narrowed=True)
_ONE = V1 + "/groups/{group_id}"
ROUTES = (
    _row("GET", V1 + "/groups", list_groups, READER),
    _row("POST", V1 + "/group-preview", preview_group, READER),
    _row("GET", _ONE, show_group, READER),
    _row("PUT", _ONE, put_group, CONTRIBUTOR),
    _row("DELETE", _ONE, delete_group, CONTRIBUTOR),
    _row("GET", _ONE + "/members", group_members, READER),
    _row("GET", _ONE + "/uses", group_uses, READER),
)

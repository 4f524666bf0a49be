# SPDX-License-Identifier: Apache-2.0
"""Native routes of playbooks: which there are, whether each is used, and whether a text is one."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import Path
from pydantic import Field
from starlette.requests import Request

from armillary.api.http.route import ADMINISTRATOR, READER, Reach, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.parameters import V1, CatalogFilter, StrictBody
from armillary.api.views.security import actions as views

PlaybookPath = Annotated[
    str, Path(max_length=64, description="Its id", json_schema_extra={"pattern": "^[a-z0-9]+(?:-[a-z0-9]+)*$"})
]


class PlaybookBody(StrictBody):
    """A text that may be playbooks, in YAML."""

    text: Annotated[str, Field(min_length=1, max_length=200_000)]


def list_playbooks(request: Request, catalog: CatalogFilter = None) -> dict[str, Any]:
    """All playbooks, and whether each is used for a catalog, or where no catalog says anything else."""
    playbooks = service_of(request).response.playbooks
    items = [views.playbook_use(each) for each in playbooks.list(catalog)]
    return {"items": items, "next": None, "fault": playbooks.fault if catalog is None else ""}


def show_playbook(request: Request, playbook: PlaybookPath, catalog: CatalogFilter = None) -> dict[str, Any]:
    """A playbook: what it is about, what it does, what it proposes."""
    return views.playbook_use(service_of(request).response.playbooks.get(playbook, catalog))


def enable_playbook(request: Request, playbook: PlaybookPath, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Use a playbook, for a catalog or where no catalog says anything else."""
    return _set(request, playbook, catalog, enabled=True)


def disable_playbook(request: Request, playbook: PlaybookPath, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Use a playbook no more."""
    return _set(request, playbook, catalog, enabled=False)


def check_playbooks(request: Request, body: PlaybookBody) -> dict[str, Any]:
    """Say whether a text is playbooks; the error names the line and what is wrong. Nothing is kept."""
    found = service_of(request).response.playbooks.check(body.text)
    return {"items": [views.playbook(each) for each in found], "next": None}


def _set(request: Request, playbook: str, catalog: str | None, *, enabled: bool) -> dict[str, Any]:
    playbooks, actor = service_of(request).response.playbooks, operator_of(request).name
    return views.playbook_use(playbooks.enable(playbook, catalog, enabled=enabled, actor=actor))


_row = partial(Route, tag="playbooks", narrowed=True)
_PLAYBOOKS = V1 + "/playbooks"
ROUTES = (
    _row("GET", _PLAYBOOKS, list_playbooks, READER),
    _row("GET", _PLAYBOOKS + "/{playbook}", show_playbook, READER),
    _row("POST", _PLAYBOOKS + "/{playbook}/enable", enable_playbook, ADMINISTRATOR),
    _row("POST", _PLAYBOOKS + "/{playbook}/disable", disable_playbook, ADMINISTRATOR),
    _row("POST", V1 + "/playbook-check", check_playbooks, READER, narrowed=False, reach=Reach.CALLER),
)

# SPDX-License-Identifier: Apache-2.0
"""Native routes of OS feeds: which there are, and those that operators make."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import Path
from pydantic import Field
from starlette.requests import Request

from armillary.api.http.documents import as_document, row_document
from armillary.api.http.route import ADMINISTRATOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.parameters import V1, FeedName, StrictBody
from armillary.service.registry.os_feeds import FEED_PATTERN

FeedPath = Annotated[str, Path(min_length=1, max_length=16, description="Feed name")]


class FeedBody(StrictBody):
    """A feed to make.

    Attributes:
        name: Its name.
        follows: The feed whose releases its groups get as well.
    """

    name: Annotated[str, Field(min_length=1, max_length=16, json_schema_extra={"pattern": FEED_PATTERN})]
    follows: FeedName = "Retail"


def list_feeds(request: Request) -> dict[str, Any]:
    """OS feeds, the two that are always there first; `follows` is empty for Retail."""
    return {"items": [as_document(each) for each in service_of(request).registry.os_feeds.list()], "next": None}


def create_feed(request: Request, body: FeedBody) -> dict[str, Any]:
    """Make a feed; device groups that have it get its releases and those of the feed that it follows."""
    feeds, actor = service_of(request).registry.os_feeds, operator_of(request).name
    return row_document(feeds.create(body.name, body.follows, actor=actor))


def delete_feed(request: Request, feed: FeedPath) -> dict[str, Any]:
    """Delete a feed that nothing uses: no device group, no release that is not revoked, no other feed, no roll-out."""
    service_of(request).registry.os_feeds.delete(feed, actor=operator_of(request).name)
    return {"deleted": feed}


_row = partial(Route, tag="releases")
ROUTES = (
    _row("GET", V1 + "/os-feeds", list_feeds, READER),
    _row("POST", V1 + "/os-feeds", create_feed, ADMINISTRATOR, status=201),
    _row("DELETE", V1 + "/os-feeds/{feed}", delete_feed, ADMINISTRATOR),
)

# SPDX-License-Identifier: Apache-2.0
"""Native routes of notification channels: who is told of findings, actions and alerts.

Secrets and addresses of webhooks go in and never come out.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.http.route import ADMINISTRATOR, CONTRIBUTOR, READER, Route
from armillary.api.http.routes import actor_of, platform_of, service_of
from armillary.api.native.parameters import V1, CatalogFilter, Name, NewestPage, StrictBody

ChannelPath = Annotated[UUID, Path(description="Id of a channel")]
Words = Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=64)]


class ChannelBody(StrictBody):
    """A channel: where events go, and which; without topics findings and actions, alerts only where they are named."""

    name: Name
    kind: Annotated[str, Field(min_length=1, max_length=16)]
    options: dict[str, Any] = Field(default_factory=dict)
    secret: Annotated[str, Field(max_length=4096)] | None = None
    topics: Words = Field(default_factory=list)
    finding_kinds: Words = Field(default_factory=list)
    min_severity: Annotated[str, Field(max_length=16)] = "info"


class ChoiceBody(StrictBody):
    """What a channel is told; what is left out stays. No topics are findings and actions, no kinds are all of them."""

    topics: Words | None = None
    finding_kinds: Words | None = None
    min_severity: Annotated[str, Field(max_length=16)] | None = None


def list_channels(request: Request, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Channels, and how each is doing; without a catalog all of them."""
    from armillary.api.views.security import notifications as views  # noqa: PLC0415 - memory: few services have a channel

    return views.channels(service_of(request), catalog)


def create_channel(request: Request, body: ChannelBody, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Make a channel of a catalog, or without one of the whole service."""
    from armillary.api.views.security import notifications as views  # noqa: PLC0415 - memory, as above
    from armillary.service.notifications.channels import ChannelForm  # noqa: PLC0415 - memory, as above

    form = ChannelForm(**body.model_dump())
    return views.create(service_of(request), form, catalog, operator=actor_of(request))


def show_channel(request: Request, channel_id: ChannelPath, catalog: CatalogFilter = None) -> dict[str, Any]:
    """A channel, and how it is doing."""
    from armillary.api.views.security import notifications as views  # noqa: PLC0415 - memory, as above

    return views.channel(service_of(request), channel_id, catalog)


def change_channel(
    request: Request, channel_id: ChannelPath, body: ChoiceBody, catalog: CatalogFilter = None
) -> dict[str, Any]:
    """Change what a channel is told from now on: topics, kinds of findings, severity."""
    from armillary.api.views.security import notifications as views  # noqa: PLC0415 - memory, as above

    given = body.model_dump(exclude_none=True)
    return views.choose(service_of(request), channel_id, catalog, given, operator=actor_of(request))


def show_overview(request: Request, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Who is told of what, whether there is a mail server, and which rules can reach nobody."""
    from armillary.api.views.security import notification_overview as views  # noqa: PLC0415 - memory, as above

    return views.overview(service_of(request), platform_of(request), catalog)


def delete_channel(request: Request, channel_id: ChannelPath, catalog: CatalogFilter = None) -> Response:
    """Delete a channel, with what it has still to be told."""
    service_of(request).notifications.channels.delete(channel_id, catalog, operator=actor_of(request))
    return Response(status_code=204)


def send_test(request: Request, channel_id: ChannelPath, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Send a test now, and say what came back."""
    from armillary.api.views.security import notifications as views  # noqa: PLC0415 - memory, as above

    return views.test(service_of(request), channel_id, catalog, operator=actor_of(request))


def list_given_up(
    request: Request, channel_id: ChannelPath, page: NewestPage, catalog: CatalogFilter = None
) -> dict[str, Any]:
    """Events that the channel was not told after all attempts, newest first, as far as they are kept."""
    from armillary.api.views.security import notifications as views  # noqa: PLC0415 - memory, as above

    return views.given_up(service_of(request), channel_id, catalog, limit=page.limit, after=page.after)


def retry_given_up(request: Request, channel_id: ChannelPath, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Send again what was given up."""
    channels = service_of(request).notifications.channels
    return {"events": channels.retry(channel_id, catalog, operator=actor_of(request))}


_row = partial(Route, tag="notification-channels", narrowed=True)
_ALL, _ONE = V1 + "/notification-channels", V1 + "/notification-channels/{channel_id}"
ROUTES = (
    _row("GET", _ALL, list_channels, READER),
    _row("POST", _ALL, create_channel, ADMINISTRATOR, status=201),
    _row("GET", V1 + "/notification-overview", show_overview, READER),
    _row("GET", _ONE, show_channel, READER),
    _row("PATCH", _ONE, change_channel, ADMINISTRATOR),
    _row("DELETE", _ONE, delete_channel, ADMINISTRATOR, status=204, answer=Response),
    _row("POST", _ONE + "/test", send_test, CONTRIBUTOR),
    _row("GET", _ONE + "/given-up", list_given_up, READER),
    _row("POST", _ONE + "/retry", retry_given_up, CONTRIBUTOR),
)

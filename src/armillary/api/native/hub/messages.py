# SPDX-License-Identifier: Apache-2.0
"""Native routes of cloud-to-device messages: send, list with outcomes, purge."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import uuid
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request

from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import actor_of, hub_of, operator_of
from armillary.api.http.tenure import since_ms
from armillary.api.native.device_ids import DevicePath, known_identity
from armillary.api.native.parameters import DEVICE, StrictBody
from armillary.api.native.service.requests import BASE64
from armillary.engines.hub.cloud_messages import QueuedMessage
from armillary.errors import InvalidArgumentError
from armillary.wire.hub.cloud_message import (
    DEFAULT_DELIVERIES,
    DEFAULT_LIFETIME_S,
    MAX_DELIVERIES,
    MAX_LIFETIME_S,
    CloudMessage,
)

_Text = Annotated[str, Field(max_length=256)]


class CloudMessageBody(StrictBody):
    """A message to a device.

    Attributes:
        text: The body as text; or `body_base64` for bytes.
        properties: The application's own.
        message_id: One is made when it is missing.
        ack: Which outcomes are kept to be read.
        lifetime_s: Seconds after which the message expires.
        max_deliveries: How often it is tried.
        input: For a module: the input it goes to.
    """

    text: Annotated[str, Field(max_length=65536)] | None = None
    body_base64: Annotated[str, Field(max_length=90000, json_schema_extra=dict(BASE64))] | None = None
    properties: Annotated[dict[str, _Text], Field(max_length=64)] = Field(default_factory=dict)
    message_id: _Text | None = None
    correlation_id: _Text = ""
    content_type: _Text = ""
    content_encoding: _Text = ""
    ack: Literal["none", "positive", "negative", "full"] = "none"
    input: Annotated[str, Field(max_length=64)] = ""
    lifetime_s: Annotated[int, Field(ge=1, le=MAX_LIFETIME_S)] = DEFAULT_LIFETIME_S
    max_deliveries: Annotated[int, Field(ge=1, le=MAX_DELIVERIES)] = DEFAULT_DELIVERIES


def send_message(request: Request, device_id: DevicePath, body: CloudMessageBody) -> dict[str, Any]:
    """Queue a message for a device: it gets it now, or when it connects, until the message expires."""
    known = known_identity(request, device_id)
    message = CloudMessage(
        message_id=body.message_id or str(uuid.uuid4()),
        body=_body(body),
        properties=body.properties,
        correlation_id=body.correlation_id,
        user_id=operator_of(request).name,
        content_type=body.content_type,
        content_encoding=body.content_encoding,
        ack=body.ack,
        lifetime_s=body.lifetime_s,
        max_deliveries=body.max_deliveries,
        input=body.input,
    )
    return document(hub_of(request).operations.send_message(actor_of(request), known, message))


def list_messages(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """What waits for a device, and the outcomes that senders asked for, newest first (50 and 100 at most)."""
    known = known_identity(request, device_id)
    since, found = since_ms(request, known), hub_of(request).mailboxes.list(known)
    return {"items": [document(each) for each in found if each.enqueued_ms >= since], "next": None}


def purge_messages(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """Take back everything that waits for a device."""
    known = known_identity(request, device_id)
    return {"purged": hub_of(request).operations.purge_messages(actor_of(request), known)}


def document(queued: QueuedMessage) -> dict[str, Any]:
    """A message as JSON: `state` is `waiting` or its outcome."""
    fields = dataclasses.asdict(queued)
    return {**fields, "state": fields.pop("outcome") or "waiting"}


def _body(body: CloudMessageBody) -> bytes:
    if (body.text is None) == (body.body_base64 is None):
        raise InvalidArgumentError(
            "body: expected either text or body_base64", remedy="Send text, or bytes in base64, not both."
        )
    if body.text is not None:
        return body.text.encode("utf-8")
    try:
        return base64.b64decode(body.body_base64 or "", validate=True)
    except binascii.Error as error:
        raise InvalidArgumentError(f"body_base64: expected base64 ({error})", remedy="Encode the bytes.") from error


_row = partial(Route, tag="hub")
ROUTES = (
    _row("POST", DEVICE + "/messages", send_message, CONTRIBUTOR),
    _row("GET", DEVICE + "/messages", list_messages, READER),
    _row("DELETE", DEVICE + "/messages", purge_messages, CONTRIBUTOR),
)

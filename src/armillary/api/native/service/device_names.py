# SPDX-License-Identifier: Apache-2.0
"""Native routes of what people call devices, of both kinds: give a name, find the device that somebody means."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from starlette.requests import Request

from armillary.api.http.documents import as_document, row_document
from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.device_ids import DevicePath, known_device
from armillary.api.native.parameters import DEVICE, V1, CatalogQuery, StrictBody
from armillary.wire.text.device_name import MAX_TEXT_CHARACTERS

NameText = Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)]


class NameBody(StrictBody):
    """What a device is called from now on.

    Attributes:
        name: At most 128 printable characters; empty takes the name away.
    """

    name: NameText


def name_device(request: Request, device_id: DevicePath, body: NameBody) -> dict[str, Any]:
    """Call a device of either kind by a name. It need not be unique; a new owner of the device does not see it."""
    known = known_device(request, device_id)
    made = service_of(request).registry.names.rename(known, body.name, actor=operator_of(request).name)
    return row_document(made)


def find_device(
    request: Request,
    text: Annotated[
        str, Query(min_length=1, max_length=MAX_TEXT_CHARACTERS, description="A name, an id, or four digits of one")
    ],
    catalog: CatalogQuery = None,
) -> dict[str, Any]:
    """The devices that a name, an id, or the first digits of one mean: several where they are not told apart.

    An id means its device. Else those called so, without regard to case; else those whose ids begin so.
    """
    found = service_of(request).registry.names.meant(text, catalog=catalog)
    return {"items": [as_document(each) for each in found], "next": None}


_row = partial(Route, tag="devices")
ROUTES = (
    _row("PUT", DEVICE + "/name", name_device, CONTRIBUTOR),
    _row("GET", V1 + "/device-names", find_device, READER, narrowed=True),
)

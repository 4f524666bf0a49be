# SPDX-License-Identifier: Apache-2.0
"""Pages whose rows are about devices, with what these are called: one read a page, and no other owner's names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.requests import Request

from armillary.api.http.routes import operator_of, service_of

Document = dict[str, Any]


def with_names(request: Request, page: Document) -> Document:
    """A page whose items have a ``device_id``, each with ``device_name``: None for one that the caller may not see."""
    known = names_of(request, [each["device_id"] for each in page["items"] if each.get("device_id")])
    return {
        **page,
        "items": [
            {**each, "device_name": known.get(each["device_id"])} if each.get("device_id") else each
            for each in page["items"]
        ],
    }


def with_name(request: Request, document: Document) -> Document:
    """One document with a ``device_id``, as above."""
    return dict(with_names(request, {"items": [document]})["items"][0])


def names_of(request: Request, device_ids: Iterable[str]) -> dict[str, str]:
    """What devices are called that the caller's token may see."""
    mine = operator_of(request).catalog_id
    found = service_of(request).registry.names.described([each.partition("/")[0] for each in device_ids])
    return {each.device_id: each.name for each in found if mine is None or each.catalog_id == mine}

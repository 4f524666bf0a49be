# SPDX-License-Identifier: Apache-2.0
"""What devices are called, in pages for the caller of a route (``views/device_labels.py``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.requests import Request

from armillary.api.http.routes import operator_of, service_of
from armillary.api.views import device_labels as views_labels

Document = dict[str, Any]


def with_names(request: Request, page: Document) -> Document:
    """A page whose items have a ``device_id``, each with ``device_name``: None for one that the caller may not see."""
    return views_labels.with_names(service_of(request), page, operator_of(request).catalog_id)


def with_name(request: Request, document: Document) -> Document:
    """One document with a ``device_id``, as above."""
    return dict(with_names(request, {"items": [document]})["items"][0])


def names_of(request: Request, device_ids: Iterable[str]) -> dict[str, str]:
    """What devices are called that the caller's token may see."""
    return views_labels.names_of(service_of(request), device_ids, operator_of(request).catalog_id)

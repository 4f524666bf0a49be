# SPDX-License-Identifier: Apache-2.0
"""The query language over twins: any text is a query that says yes or no of a twin, or one error."""

from __future__ import annotations

from armillary.errors import InvalidArgumentError
from armillary.twin.document.hub_query import parse_query

TWIN = {"deviceId": "d", "tags": {"floor": 2, "site": "x"}, "properties": {"desired": {"a": {"b": None}}}}


def seeds() -> list[bytes]:
    return [
        b"SELECT * FROM devices",
        b"SELECT deviceId, tags.floor AS f FROM devices WHERE tags.floor > 1 AND NOT (tags.site IN ['x', 'y'])",
        b"SELECT COUNT() AS n FROM devices WHERE is_defined(tags.site) OR startswith(deviceId, 'd')",
    ]


def fuzz(data: bytes) -> None:
    try:
        query = parse_query(data.decode("utf-8", "replace"))
    except InvalidArgumentError:
        return
    assert query.condition(TWIN) in (True, False)
    assert isinstance(query.project(TWIN), dict)

# SPDX-License-Identifier: Apache-2.0
"""Pages of the management API's short lists."""

from __future__ import annotations

from urllib.parse import urlsplit

from tests.api.running_service import RunningService


def test_a_short_list_is_paged_when_pages_are_asked_for(service: RunningService, catalog: str) -> None:
    service.azure("PUT", f"/{catalog}/products/Tea", {})
    service.azure("POST", f"/{catalog}/products/Tea/generateDefaultDeviceGroups")
    every = service.azure("POST", f"/{catalog}/listDeviceGroups").body
    assert (len(every["value"]), every["nextLink"]) == (10, None)

    def pages(query: str, body: object = None) -> list[list[str]]:
        reply = service.azure("POST", f"/{catalog}/listDeviceGroups", body, query=query)
        found = []
        while True:
            found.append([item["id"] for item in reply.body["value"]])
            if reply.body["nextLink"] is None:
                return found
            parts = urlsplit(reply.body["nextLink"])
            reply = service.call("GET", f"{parts.path}?{parts.query}")

    ids = [item["id"] for item in every["value"]]
    assert pages("&$maxpagesize=4") == [ids[:4], ids[4:8], ids[8:]]
    assert pages("&$maxpagesize=4&$skip=3&$top=5") == [ids[3:7], ids[7:8]]
    named = pages("&$maxpagesize=1", {"deviceGroupName": "Production"})
    assert [len(page) for page in named] == [1, 1]
    assert all(page[0].endswith("/deviceGroups/Production") for page in named)
    for token in ("x", "9" * 10):
        reply = service.azure("POST", f"/{catalog}/listDeviceGroups", query=f"&$skiptoken={token}")
        assert (reply.status, reply.body["error"]["code"]) == (400, "InvalidRequestContent")

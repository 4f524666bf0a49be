# SPDX-License-Identifier: Apache-2.0
"""Lists of documents by a text in their names: every kind alike, over pages, and never another catalog's."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.api.native.platform.test_native_rules import hot
from tests.api.running_service import RunningService, fresh
from tests.twin.template.test_template import BODY
from tests.wire.picture.drawn import png

EXPORT = {"source": "telemetry", "enabled": False, "destination": {"kind": "webhook", "url": "https://example.com/in"}}
# Path of a list -> the body of one document without its name.
KINDS: dict[str, dict[str, Any]] = {
    "rules": hot(None),
    "dashboards": {"tiles": []},
    "groups": {},
    "jobs": {"group": "", "action": {"kind": "command", "command": "clean"}},
    "exports": EXPORT,
    "templates": {**BODY},
    "pictures": {"content": base64.b64encode(png()).decode()},
    "organisations": {},
}


def listed(service: RunningService, path: str, **query: Any) -> list[str]:
    """Ids of a list, read in pages of one."""
    found: list[str] = []
    after = ""
    while True:
        asked = {**query, "limit": 1, **({"after": after} if after else {})}
        page = service.call("GET", f"/api/v1/{path}?{urlencode(asked)}")
        assert page.status == 200, page.raw
        found += [each.get("id", each.get("name")) for each in page.body["items"]]
        after = page.body["next"]
        if not after:
            return found


@pytest.mark.parametrize("path", list(KINDS))
def test_a_list_has_what_is_named_so_and_nothing_of_others(service: RunningService, catalog: str, path: str) -> None:
    word = fresh("Ärm").lower()
    others = service.make_catalog(fresh("O"), product="Coffee")
    group = fresh("everybody").lower()
    assert service.call("PUT", f"/api/v1/groups/{group}", {"name": "Everybody"}).status == 200
    ending = ".png" if path == "pictures" else ""
    names = {f"{word} 100% high": catalog, f"{word} 100_ low": catalog, f"{word} theirs": others, "another": catalog}
    ids = {}
    for number, (name, owner) in enumerate(names.items()):
        ids[name] = fresh(f"s{number}").lower() + ending
        called = {"display_name": name.upper()} if path == "templates" else {"name": name.upper()}
        body = {**KINDS[path], **called, "catalog": owner}
        if path == "jobs":
            body["group"] = group
        made = service.call("PUT", f"/api/v1/{path}/{ids[name]}", body)
        assert made.status == 200, made.raw
    high, low, theirs, _ = ids.values()
    try:
        assert listed(service, path, search=word, catalog=catalog) == [high, low]
        assert listed(service, path, search=word) == [high, low, theirs]
        assert listed(service, path, search=f"{word} 100%") == [high]
        assert listed(service, path, search=f"{word} 100_") == [low]
        assert listed(service, path, search=high[:-4].upper()) == [high]
        assert listed(service, path, search=f"{word} nothing") == []
    finally:
        for each in ids.values():
            service.call("DELETE", f"/api/v1/{path}/{each}")
        service.call("DELETE", f"/api/v1/groups/{group}")


@pytest.mark.parametrize("path", list(KINDS))
def test_a_text_that_is_too_long_is_refused(service: RunningService, path: str) -> None:
    reply = service.call("GET", f"/api/v1/{path}?{urlencode({'search': 'x' * 129})}")
    assert reply.status == 400
    assert "search" in reply.body["detail"]

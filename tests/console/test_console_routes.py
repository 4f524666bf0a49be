# SPDX-License-Identifier: Apache-2.0
"""Every address of the console, whoever adds the next: only for who is signed in, no change by a Reader or another site."""

from __future__ import annotations

import re

import pytest
from tests.console.hub_scene import HubScene
from tests.console.plain_browser import Browser

from armillary.console.application import CHANGE, EDIT, LIVE, READ, UPLOAD

# What fills a path's names: things that there are.
FILLED = {"device_id": "cooler-1", "catalog": "contoso", "name": "cooler", "kind": "certificates"}
FILLED |= {"version": "1", "verb": "revoke"}
# Of people, only whoever manages them is told; everybody has an account.
NOT_FOR_READERS = ("/people", "/people/{person_id}", "/sessions", "/devices/{device_id}/log/lines.txt")
OWN = {
    "/account/act": 404, "/account/sessions/{session_id}/end": 404,  # there is no such grant, and no such session
    "/account/new-passkey": 400, "/account/recovery-codes": 409, "/account/passkeys/{passkey_id}/remove": 404,
}  # fmt: skip
# What a Reader keeps of tables is their own: what an empty form of it is answered.
KEPT = {
    "/table-columns": 303,
    "/table-views": 400,
    "/table-views/{view_id}/rename": 404,
    "/table-views/{view_id}/delete": 404,
    # There is no such list; what a Reader may do with rows of others: tests/console/bulk.
    "/bulk/{kind}": 404,
    "/bulk/{kind}/{verb}": 404,
}


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: FILLED.get(found[1], "1"), path)


@pytest.mark.parametrize("path", sorted({path for path, *_ in (*READ, *EDIT, *LIVE)}))
def test_nobody_reads_without_signing_in(hub_scene: HubScene, path: str):
    answer = Browser(hub_scene).get(filled(path))
    assert (answer.status, answer.headers["location"].startswith("/sign-in"), answer.body) == (303, True, b"")


@pytest.mark.parametrize("path", sorted({path for path, *_ in READ}))
def test_a_reader_reads_every_page(hub_scene: HubScene, path: str):
    if path in NOT_FOR_READERS:
        assert hub_scene.browser("Reader").get(filled(path)).status == 403
        return
    not_now = (409,) if path == "/vex" else ()  # no feed is here
    assert hub_scene.browser("Reader").get(filled(path)).status in (200, 303, 400, 404, *not_now)


@pytest.mark.parametrize("path", sorted({path for path, *_ in (*CHANGE, *UPLOAD)}))
def test_no_form_of_another_site_is_taken(hub_scene: HubScene, path: str):
    look = hub_scene.browser()
    answer = look.post(filled(path), token="0" * 128)
    assert (answer.status, "request.foreign-form" in answer.text) == (403, True)
    answer = look.post(filled(path), headers={"Origin": "https://evil.example"})
    assert (answer.status, "request.foreign-form" in answer.text) == (403, True)


@pytest.mark.parametrize("path", sorted({path for path, *_ in (*CHANGE, *UPLOAD)}))
def test_a_reader_changes_nothing_whatever_the_form(hub_scene: HubScene, path: str):
    answer = hub_scene.browser("Reader").post(filled(path))
    if path in KEPT:
        assert answer.status == KEPT[path]
        return
    if path in OWN:
        assert answer.status == OWN[path]
        return
    assert (answer.status, "does not allow" in answer.text) == (403, True), (path, answer.status)
    assert "Reader-token" not in {line.actor for line in hub_scene.running.service.audit.list(limit=100).items}

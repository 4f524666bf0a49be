# SPDX-License-Identifier: Apache-2.0
"""Forms with files: sealed, of this site, bounded, each field once; nothing of a body that is none is used."""

from __future__ import annotations

import pytest
from tests.console.hub_scene import HubScene
from tests.console.plain_browser import BOUNDARY, Answer, Browser

from armillary.console.releases import change

BILL = b'{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []}'


@pytest.fixture(scope="module")
def here(hub_scene: HubScene) -> str:
    draft = hub_scene.running.service.attestation.drafts.create("imx8mp", "51.1", actor="test")
    return f"/releases/{draft.release_id}/bill"


@pytest.fixture
def look(hub_scene: HubScene, here: str) -> Browser:
    made = hub_scene.browser()
    made.get(here.removesuffix("/bill"))
    return made


def raw(look: Browser, path: str, body: bytes, **headers: str) -> Answer:
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    return look.send("POST", path, body, **{"Content_Type": kind, "Origin": f"https://{look.host}", **headers})


def part(name: str, value: str, filename: str = "") -> bytes:
    file = f'; filename="{filename}"' if filename else ""
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n{value}\r\n'.encode()


def test_a_form_of_another_session_or_site_is_refused(look: Browser, here: str) -> None:
    refused = look.upload(here, {"document": BILL}, token="0" * 128)
    assert (refused.status, "request.foreign-form" in refused.text) == (403, True)
    end = f"--{BOUNDARY}--\r\n".encode()
    body = part("form_token", look.form_token) + part("document", BILL.decode(), "x.json") + end
    for headers in ({"Origin": "https://evil.example"}, {"Sec_Fetch_Site": "cross-site"}):
        refused = raw(look, here, body, **headers)
        assert (refused.status, "request.foreign-form" in refused.text) == (403, True)
    assert raw(look, here, body, Content_Type="text/plain").status == 400
    assert raw(look, here, body).status == 303, "the control: nothing else was wrong with it"


def test_a_form_is_bounded_before_it_is_used(look: Browser, here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert change.MAX_BILL_BYTES < 9 << 20
    refused = look.upload(here, {"document": b" " * (change.MAX_BILL_BYTES + 1)})
    assert (refused.status, "is larger than" in refused.text) == (400, True)
    many = {f"file{number}": b"x" for number in range(50)}
    assert look.upload(here, many).status == 400


@pytest.mark.parametrize(
    "parts",
    [
        b"no part at all",
        b"--" + BOUNDARY.encode() + b"\r\nContent-Disposition: form-data\r\n\r\nx\r\n",
    ],
)
def test_what_is_no_form_is_refused(look: Browser, here: str, parts: bytes) -> None:
    assert raw(look, here, parts).status in (400, 403)
    no_boundary = raw(look, here, parts, Content_Type="multipart/form-data")
    assert (no_boundary.status, "malformed" in no_boundary.text) == (400, True)


def test_a_field_or_file_that_is_there_twice_is_refused(look: Browser, here: str) -> None:
    end, token = f"--{BOUNDARY}--\r\n".encode(), part("form_token", look.form_token)
    file = part("document", BILL.decode(), "x.json")
    for body in (token + file + file + end, token + token + file + end):
        refused = raw(look, here, body)
        assert (refused.status, "is there twice" in refused.text) == (400, True)


def test_a_body_that_breaks_off_in_a_file_brings_no_file(look: Browser, here: str) -> None:
    broken = part("form_token", look.form_token) + part("document", BILL.decode(), "x.json")[:-30]
    refused = raw(look, here, broken)
    assert (refused.status, "no file was chosen" in refused.text) == (400, True)

# SPDX-License-Identifier: Apache-2.0
"""What strangers reach over TLS without a token: security.txt, the page for reports, and the route for programs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest
from tests.api.running_service import Reply, RunningService

from armillary.service.disclosure.intake import BURST_OF_ADDRESS, IntakeRate
from armillary.wire.disclosure.security_txt import parse

PAGE, FILE, ROUTE = "/vulnerability-report", "/.well-known/security.txt", "/api/v1/public/vulnerability-reports"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
GOOD = {"title": "Overflow", "description": "Send 65,536 bytes."}


@pytest.fixture
def opened(service: RunningService) -> Iterator[RunningService]:
    """Reports are taken, and nobody has handed in any."""
    disclosure = service.service.disclosure
    disclosure.policies.set({"contacts": ["mailto:security@example.com"], "is_open": True}, actor="test")
    disclosure.reports.rate = IntakeRate(service.service.context.clock)
    yield service
    disclosure.policies.clear(actor="test")


def post(service: RunningService, fields: dict[str, str] | bytes, **headers: str) -> Reply:
    body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
    return service.call("POST", PAGE, body, token=None, headers={**FORM, **headers})


class Tags(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_where_nobody_said_so_nothing_is_there(service: RunningService) -> None:
    service.service.disclosure.policies.clear(actor="test")
    for method, path, body in (("GET", FILE, None), ("GET", PAGE, None), ("POST", ROUTE, GOOD)):
        reply = service.call(method, path, body, token=None)
        assert (reply.status, reply.body["code"]) == (404, "request.not-found"), path
    assert post(service, GOOD).status == 404


def test_security_txt_is_served_by_the_services_own_name(opened: RunningService) -> None:
    reply = opened.call("GET", FILE, token=None, headers={"Host": "evil.example"})
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    found = parse(reply.raw)
    assert found.contacts == ("mailto:security@example.com", f"https://localhost:{opened.port}{PAGE}")
    assert found.canonical == (f"https://localhost:{opened.port}{FILE}",)
    assert b"evil" not in reply.raw


def test_the_page_has_no_script_and_nothing_from_elsewhere(opened: RunningService) -> None:
    reply = opened.call("GET", PAGE, token=None)
    assert reply.status == 200
    policy = reply.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert "Set-Cookie" not in reply.headers
    tags = Tags(reply.raw.decode()).found
    assert not {tag for tag, _ in tags} & {"script", "img", "iframe", "link", "object"}
    assert not [each for _, attributes in tags for each in attributes if each.startswith("on") or each == "style"]
    assert {attributes["name"] for tag, attributes in tags if tag in ("input", "textarea", "select")} == {
        "title", "description", "product", "version", "exploited", "contact", "publication",
    }  # fmt: skip
    labelled = {attributes["for"] for tag, attributes in tags if tag == "label"}
    assert labelled == {attributes["id"] for _, attributes in tags if "id" in attributes}, "each field has its label"


def test_a_report_gets_a_number_and_is_in_the_inbox(opened: RunningService) -> None:
    reply = post(opened, {**GOOD, "contact": "finder@example.com"})
    assert reply.status == 201
    (reference,) = re.findall(r"VR-[A-Z2-7]{4}-[A-Z2-7]{4}-[A-Z2-7]{4}", reply.raw.decode())
    shown = opened.call("GET", f"/api/v1/vulnerability-reports/{reference}").body
    assert (shown["submission"]["title"], shown["submission"]["contact"]) == ("Overflow", "finder@example.com")
    listed = opened.call("GET", "/api/v1/vulnerability-reports?state=new").body["items"]
    assert reference in {each["reference"] for each in listed}
    assert not {"title", "submission", "sealed"} & set(listed[0])


def test_programs_hand_in_json(opened: RunningService) -> None:
    made = opened.call("POST", ROUTE, GOOD, token=None)
    assert (made.status, made.body["acknowledge_days"], made.body["status_days"]) == (201, 5, 30)
    assert opened.call("GET", f"/api/v1/vulnerability-reports/{made.body['reference']}").status == 200
    for wrong in ({"title": "x"}, {**GOOD, "reward": 1}, {**GOOD, "exploited": True}, {**GOOD, "title": "x" * 201}, []):
        assert opened.call("POST", ROUTE, wrong, token=None).status == 400


def test_without_a_token_nobody_reads_and_with_a_readers_nobody_acts(opened: RunningService) -> None:
    reference = opened.call("POST", ROUTE, GOOD, token=None).body["reference"]
    inbox = f"/api/v1/vulnerability-reports/{reference}"
    for path in ("/api/v1/vulnerability-reports", inbox, "/api/v1/disclosure"):
        assert opened.call("GET", path, token=None).status == 401
    reader, writer = opened.token_of("Reader"), opened.token_of("Contributor")
    assert opened.call("POST", f"{inbox}/actions", {"action": "acknowledge"}, token=reader).status == 403
    assert opened.call("PATCH", "/api/v1/disclosure", {"is_open": False}, token=writer).status == 403
    done = opened.call("POST", f"{inbox}/actions", {"action": "acknowledge"}, token=writer)
    assert (done.status, done.body["state"], done.body["due_action"]) == (200, "acknowledged", "tell")
    assert opened.call("POST", f"{inbox}/actions", {"action": "acknowledge"}, token=writer).status == 409
    assert opened.call("POST", f"{inbox}/actions", {"action": "delete"}, token=writer).status == 400


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "x"},
        {**GOOD, "title": "\"><script>alert('1')</script>", "description": ""},
        {**GOOD, "title": "x", "description": "</textarea><script>alert(1)</script>", "contact": "y" * 201},
        {**GOOD, "title": "x" * 201},
        b"title=%ff&description=x",
        b"not a form",
        b"",
    ],
)
def test_what_is_wrong_comes_back_to_be_corrected(opened: RunningService, fields: dict[str, str] | bytes) -> None:
    reply = post(opened, fields)
    text = reply.raw.decode()
    assert reply.status == 400
    assert 'role="alert"' in text
    assert "script" not in {tag for tag, _ in Tags(text).found}
    if isinstance(fields, dict) and len(fields["title"]) <= 200:
        values = [attributes.get("value") for _, attributes in Tags(text).found if attributes.get("name") == "title"]
        assert values == [fields["title"]], "nothing has to be typed again"


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(opened: RunningService) -> None:
    reply = post(opened, b"title=x&description=" + b"x" * (97 << 10))
    assert reply.status == 413
    assert opened.call("POST", ROUTE, {**GOOD, "description": "x" * (97 << 10)}, token=None).status == 413


def test_another_sites_form_hands_in_nothing(opened: RunningService) -> None:
    assert post(opened, GOOD, **{"Sec-Fetch-Site": "cross-site"}).status == 403
    assert post(opened, GOOD, **{"Sec-Fetch-Site": "same-origin"}).status == 201
    assert opened.service.disclosure.reports.rate.refused == 0


def test_too_many_are_told_when_to_come_again_and_where_else_to_go(opened: RunningService) -> None:
    for _ in range(BURST_OF_ADDRESS):
        assert post(opened, GOOD).status == 201
    refused = post(opened, {**GOOD, "title": "Mine & yours"})
    assert (refused.status, int(refused.headers["Retry-After"]) > 0) == (429, True)
    assert "mailto:security@example.com" in refused.raw.decode()
    assert "Mine &amp; yours" in refused.raw.decode(), "nothing is lost"
    told = opened.call("POST", ROUTE, GOOD, token=None)
    assert (told.status, told.body["code"]) == (429, "request.too-many")
    assert opened.call("GET", "/api/v1/disclosure").body["refused"] == 2

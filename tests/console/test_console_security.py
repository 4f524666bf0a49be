# SPDX-License-Identifier: Apache-2.0
"""A real TLS server, spoken to without a browser: sessions, forms, headers, roles, files. Each refusal has its
positive control beside it."""

from __future__ import annotations

import gzip
import json
import re
from urllib.parse import quote, unquote, urlencode

import pytest
from tests.console.console_server import RunningConsole
from tests.console.plain_browser import Browser, signed_in
from tests.console.rehearsed_data import device_id, uid

from armillary.console.application import CHANGE, EDIT, READ, UPLOAD
from armillary.console.frame.assets import Assets
from armillary.console.frame.guard import HEADERS, MAX_FORM_BYTES, POLICY

ROLLOUT = f"/updates/{uid('rollout running')}"
CATALOG = "/settings/catalogs/northwind"


@pytest.fixture
def browser(console: RunningConsole) -> Browser:
    return Browser(console)


@pytest.fixture
def admin(console: RunningConsole) -> Browser:
    return signed_in(console)


PAGES = [
    "/fleet",
    f"/devices/{device_id(0)}",
    f"/devices/{device_id(13)}",
    "/updates",
    ROLLOUT,
    f"{ROLLOUT}/halt",
    "/findings",
    "/findings?status=closed",
    "/audit",
    "/audit?verify=now",
    "/settings",
    "/help",
    f"/devices/{device_id(0)}/revoke",
    f"/settings/tokens/{uid('reader-secret')}/revoke",
]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens_for_an_operator_and_carries_the_headers(admin: Browser, path: str):
    answer = admin.get(path)
    assert answer.status == 200
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert answer.headers["cache-control"] == "no-store"
    assert 'aria-current="page"' in answer.text or path == "/help"


@pytest.mark.parametrize("path", [*PAGES, "/sign-in", "/nowhere"])
def test_no_page_needs_what_its_policy_forbids(admin: Browser, path: str):
    text = admin.get(path).text
    assert "unsafe" not in POLICY
    assert not re.search(r"<script(?![^>]*\ssrc=)", text), "inline script"
    assert "<style" not in text
    assert not re.search(r"\sstyle=", text), "inline style"
    assert not re.search(r"\son\w+=", text), "inline handler"
    addresses = re.findall(r'(?:src|href|action|hx-get)="([^"]+)"', text)
    assert addresses
    assert all(address.startswith(("/", "#", "?")) and not address.startswith("//") for address in addresses)


def test_pages_carry_no_form_without_a_token(admin: Browser):
    for path in PAGES:
        for form in re.findall(r'<form[^>]*method="post".*?</form>', admin.get(path).text, re.DOTALL):
            assert 'name="form_token"' in form, path


@pytest.mark.parametrize("path", ["/sign-in", "/nowhere", "/fleet"])
def test_the_headers_are_there_also_before_sign_in_and_on_errors(browser: Browser, path: str):
    answer = browser.get(path)
    assert answer.headers["content-security-policy"] == POLICY


def test_cookies_are_closed_to_scripts_other_sites_and_plain_connections(browser: Browser):
    first = browser.get("/sign-in").headers["set-cookie"]
    session = browser.sign_in().headers.get_all("set-cookie")[0]
    for cookie in (first, session):
        parts = {part.strip().lower() for part in cookie.split(";")}
        assert {"httponly", "secure", "samesite=strict", "path=/"} <= parts
        assert cookie.startswith("__Host-")
    assert "admin-secret" not in session


@pytest.mark.parametrize("secret", ["", "wrong", "admin-secret ".replace(" ", "x"), "x" * 4000])
def test_a_wrong_token_opens_nothing(browser: Browser, secret: str):
    browser.get("/sign-in")
    answer = browser._sign_in(secret)
    assert answer.status == 401
    assert "not valid" in answer.text
    assert browser.get("/fleet").status == 303


def test_signing_in_makes_a_new_session_whatever_the_browser_sends(browser: Browser):
    browser.cookies["__Host-armillary"] = "chosen-by-an-attacker"
    browser.get("/sign-in")
    browser.cookies["__Host-armillary"] = "chosen-by-an-attacker"
    assert browser._sign_in("admin-secret").status == 303
    assert browser.cookies["__Host-armillary"] != "chosen-by-an-attacker"


@pytest.mark.parametrize(
    ("back", "leads"),
    [
        ("/audit", "/audit"),
        ("//evil.example", "/fleet"),
        ("//[", "/fleet"),
        ("https://evil.example", "/fleet"),
        ("/\\evil.example", "/fleet"),
        ("javascript:alert(1)", "/fleet"),
        ("/a\r\nSet-Cookie: x=y", "/fleet"),
    ],
)
def test_sign_in_leads_only_to_our_own_pages(browser: Browser, back: str, leads: str):
    browser.get("/sign-in")
    body = urlencode({"form_token": browser.form_token, "token": "admin-secret", "back": back}).encode()
    answer = browser.send("POST", "/sign-in", body, Content_Type="application/x-www-form-urlencoded")
    assert answer.headers["location"] == leads


def test_a_sign_in_form_of_another_browser_is_refused(console: RunningConsole):
    other, victim = Browser(console), Browser(console)
    other.get("/sign-in")
    victim.get("/sign-in")
    victim.form_token = other.form_token
    assert victim._sign_in("admin-secret").status == 403
    assert other._sign_in("admin-secret").status == 303


FORMS = [
    (f"{ROLLOUT}/halt", {"reason": "a reason"}),
    (f"/devices/{device_id(0)}/revoke", {"reason": "a reason"}),
    (f"/findings/{uid('proof-replayed')}", {"status": "closed"}),
    ("/settings/tokens", {"name": "robot", "role": "Reader"}),
    (f"/settings/tokens/{uid('reader-secret')}/revoke", {}),
    (f"/devices/{device_id(0)}/release", {}),
    (f"/devices/{device_id(0)}/decommission", {"reason": "a reason"}),
    (f"/devices/{device_id(0)}/offer", {"to": uid("contoso")}),
    (f"{CATALOG}/transfers/{uid('transfer 100')}/accept", {}),
    (f"{CATALOG}/transfers/{uid('transfer 100')}/decline", {}),
    (f"{CATALOG}/transfers/{uid('transfer 2')}/cancel", {}),
    (f"{CATALOG}/enrolment-tokens", {"group": "", "uses": "1", "life": "1 hour"}),
    (f"{CATALOG}/enrolment-tokens/{uid('enrolment 2')}/revoke", {}),
    ("/theme", {"theme": "dark"}),
    ("/language", {"language": "de"}),
    ("/sign-out", {}),
]


@pytest.mark.parametrize(("path", "fields"), FORMS)
def test_a_form_without_this_browsers_token_changes_nothing(
    admin: Browser, console: RunningConsole, path: str, fields: dict[str, str]
):
    console.fleet.neighbours.append("contoso")
    before = (len(console.fleet.lines), dict(admin.cookies))
    for token in ("", "0" * 64, "0" * 128, admin.form_token[:-1] + ("0" if admin.form_token[-1] != "0" else "1")):
        answer = admin.post(path, token=token, **fields)
        assert answer.status == 403
        assert "Nothing was changed" in answer.text
    assert (len(console.fleet.lines), dict(admin.cookies)) == before
    assert admin.post(path, **fields).status in (200, 303)  # positive control: the same form with its token


def test_a_compressed_page_shows_the_token_of_its_forms_masked_anew(admin: Browser):
    """BREACH: what an attacker has put into a page must find nothing in it that stays the same."""
    packed = admin.get("/fleet", Accept_Encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["vary"]
    pages = [gzip.decompress(packed.body).decode(), admin.get("/fleet").text, admin.get("/fleet").text]
    tokens = [re.findall(r'name="form_token" value="([0-9a-f]{128})"', page)[0] for page in pages]
    halves = [half for token in tokens for half in (token[:64], token[64:])]
    assert len(set(halves)) == 2 * len(pages)
    for token in tokens:  # positive control: each of them is taken
        assert admin.post("/theme", token=token, theme="dark", back="/fleet").status == 303
    swapped = tokens[0][:64] + tokens[1][64:]
    assert admin.post("/theme", token=swapped, theme="dark", back="/fleet").status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://HOST"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_a_form_from_another_site_is_refused_even_with_its_token(
    admin: Browser, console: RunningConsole, headers: dict[str, str]
):
    before, host = len(console.fleet.lines), admin.host
    sent = {name: value.replace("HOST", host) for name, value in headers.items()}
    assert admin.post(f"{ROLLOUT}/halt", headers=sent, reason="x").status == 403
    assert len(console.fleet.lines) == before
    own = {"Sec_Fetch_Site": "same-origin", "Origin": f"https://{host}"}
    assert admin.post(f"{ROLLOUT}/halt", headers=own, reason="x").status == 303


def test_a_field_that_is_there_twice_is_refused(admin: Browser, console: RunningConsole):
    before = len(console.fleet.lines)
    for twice in (
        f"form_token=x&form_token={admin.form_token}&reason=x",
        f"form_token={admin.form_token}&reason=x&reason=y",
    ):
        answer = admin.send("POST", f"{ROLLOUT}/halt", twice.encode(), Content_Type="application/x-www-form-urlencoded")
        assert (answer.status, "there twice" in answer.text) == (400, True)
    assert len(console.fleet.lines) == before


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/json", ""])
def test_only_form_bodies_are_read(admin: Browser, console: RunningConsole, kind: str):
    before = len(console.fleet.lines)
    assert admin.post(f"{ROLLOUT}/halt", headers={"Content_Type": kind}).status == 400
    assert len(console.fleet.lines) == before


def test_a_form_that_is_too_large_is_refused(admin: Browser):
    answer = admin.post(f"{ROLLOUT}/halt", reason="x" * MAX_FORM_BYTES)
    assert answer.status == 400
    assert "larger than" in answer.text


def test_a_get_changes_nothing(admin: Browser, console: RunningConsole):
    before = len(console.fleet.lines)
    for path, _ in FORMS:
        admin.get(path)
    assert len(console.fleet.lines) == before


def test_signing_out_ends_the_session_on_the_server(admin: Browser):
    kept = dict(admin.cookies)
    assert admin.post("/sign-out").headers["location"] == "/sign-in"
    admin.cookies = kept
    assert admin.get("/fleet").status == 303


@pytest.mark.parametrize(
    ("role", "path", "fields"),
    [
        ("reader", f"{ROLLOUT}/halt", {"reason": "x"}),
        ("contributor", "/settings/tokens", {"name": "robot", "role": "Administrator"}),
        ("contributor", f"/settings/tokens/{uid('admin-secret')}/revoke", {"word": "revoke"}),
    ],
)
def test_a_role_that_may_not_is_refused_and_told_so(
    console: RunningConsole, role: str, path: str, fields: dict[str, str]
):
    browser = signed_in(console, f"{role}-secret")
    before = len(console.fleet.lines)
    answer = browser.post(path, **fields)
    assert answer.status == 403
    assert "does not allow this" in answer.text
    assert len(console.fleet.lines) == before
    admin = signed_in(console)
    assert admin.post(path, **fields).status in (200, 303)


def test_a_reader_is_offered_no_action(console: RunningConsole):
    reader = signed_in(console, "reader-secret")
    assert f"{ROLLOUT}/halt" not in reader.get(ROLLOUT).text
    assert "Acknowledge" not in reader.get("/findings").text
    assert "may not see tokens" in reader.get("/settings").text
    assert uid("admin-secret") not in reader.get("/settings").text
    assert reader.get(f"/settings/tokens/{uid('admin-secret')}/revoke").status == 403
    settings = reader.get("/settings").text
    assert f'href="{CATALOG}' not in settings
    assert f'action="{CATALOG}' not in settings
    contributor = signed_in(console, "contributor-secret")
    settings = contributor.get("/settings").text
    assert settings.count(f'href="{CATALOG}') == 3 + 2  # the offers' answers, the valid tokens' ends
    assert f'action="{CATALOG}' in settings


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/devices/" + "0" * 128,
        f"/updates/{uid('none')}",
        f"{ROLLOUT}/explode",
        f"/settings/tokens/{uid('none')}/revoke",
        f"/devices/{device_id(0)}/explode",
        f"{CATALOG}/transfers/{uid('none')}/accept",
        f"{CATALOG}/transfers/{uid('transfer 2')}/explode",
        f"/settings/catalogs/elsewhere/transfers/{uid('transfer 2')}/cancel",
        f"{CATALOG}/enrolment-tokens/{uid('none')}/revoke",
    ],
)
def test_what_does_not_exist_has_a_page_that_leads_on(admin: Browser, path: str):
    answer = admin.get(path)
    assert answer.status == 404
    assert "Page not found." in answer.text
    assert 'href="/fleet"' in answer.text


def test_an_address_of_forms_says_so_when_it_is_opened(admin: Browser):
    answer = admin.get("/add-devices/connect")
    assert (answer.status, "Method Not Allowed" in answer.text) == (405, False)
    assert "This address takes a form and shows no page." in answer.text


def test_an_address_of_forms_asks_who_is_not_signed_in_to_sign_in(console: RunningConsole):
    for path in sorted({path for path, *_ in (*CHANGE, *UPLOAD)} - {path for path, *_ in (*READ, *EDIT)}):
        answer = Browser(console).get(re.sub(r"{\w+}", "1", path))
        assert (answer.status, answer.headers["location"].partition("?")[0]) == (303, "/sign-in"), path
    answer = Browser(console).get("/add-devices/one-command")
    assert answer.headers["location"] == "/sign-in"  # and from there to the fleet: no page is here
    assert Browser(console).send("PUT", "/fleet", b"{}").status == 405


def test_a_program_that_asks_for_what_does_not_exist_gets_a_problem_and_no_page(console: RunningConsole):
    program = Browser(console)
    for accept in ("", "*/*", "application/json"):
        for method, path, status in (
            ("GET", "/nowhere", 404),
            ("GET", "/nowhere/at/all?x=1", 404),
            ("PUT", "/fleet", 405),
        ):
            answer = program.send(method, path, b"{}" if method == "PUT" else None, Accept=accept)
            assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json"), path
            problem = json.loads(answer.body)
            assert (problem["status"], problem["instance"]) == (status, path.partition("?")[0])
            assert problem["remedy"]


def test_names_from_devices_and_people_are_text_not_markup(console: RunningConsole):
    attack = "<script src=//evil.example></script><img src=x onerror=alert(1)>\"'"
    console.fleet.device(device_id(0))["group"] = attack
    console.fleet.device(device_id(0))["installed"][0]["name"] = attack
    console.fleet.seen[0]["title"] = attack
    console.fleet.lines[-1]["target"] = attack
    console.fleet.roll[0]["reason"] = attack
    admin = signed_in(console)
    for path in ("/fleet", f"/devices/{device_id(0)}", "/findings", "/audit", "/updates", ROLLOUT):
        text = admin.get(path).text
        assert "<script src=//" not in text
        assert "<img" not in text
    assert "&lt;script src=//evil.example&gt;" in admin.get("/findings").text


def test_a_wide_action_needs_the_word(admin: Browser, console: RunningConsole):
    assert admin.post(f"{ROLLOUT}/roll-back", reason="bad release").status == 400
    assert console.fleet.roll[0]["state"] == "running"
    assert admin.post(f"{ROLLOUT}/roll-back", reason="bad release", word="roll-back").status == 303
    assert console.fleet.roll[0]["state"] == "rolling-back"


def test_the_message_after_an_action_cannot_be_written_from_outside(admin: Browser):
    assert "your account is locked" not in admin.get("/fleet?told=your account is locked".replace(" ", "%20")).text


def test_static_files_have_their_hash_in_the_name_and_stay_for_a_year(browser: Browser):
    sheet = re.search(r"/static/style\.[0-9a-f]{16}\.css", browser.get("/sign-in").text)
    assert sheet is not None
    answer = browser.get(sheet[0])
    assert answer.status == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    packed = browser.get(sheet[0], Accept_Encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < len(answer.body) / 2


@pytest.mark.parametrize(
    "path",
    [
        "/static/style.css",
        "/static/style.0000000000000000.css",
        "/static/..%2f..%2fapplication.py",
        "/static/vendored.toml",
        "/static/%2e%2e/guard.py",
    ],
)
def test_only_listed_files_are_served(browser: Browser, path: str):
    assert browser.get(path).status in (303, 404)


def test_a_refresh_by_script_is_led_to_the_sign_in_page(browser: Browser):
    answer = browser.get("/updates", HX_Request="true")
    assert answer.status == 401
    assert answer.headers["hx-redirect"] == "/sign-in?back=/updates"


def test_signing_in_leads_back_to_the_whole_address(browser: Browser):
    answer = browser.get("/findings?status=closed&q=a%26b")
    assert answer.headers["location"] == "/sign-in?back=/findings%3Fstatus%3Dclosed%26q%3Da%2526b"
    assert 'name="back" value="/findings?status=closed&amp;q=a%26b"' in browser.get(answer.headers["location"]).text


@pytest.mark.parametrize(
    ("sent_from", "back"),
    [
        ("https://HOST/settings?tab=1", "/settings%3Ftab%3D1"),
        ("https://evil.example/settings", "/fleet"),
        ("https://HOST//evil.example", "/fleet"),
        ("https://[x", "/fleet"),
        ("", "/fleet"),
    ],
)
def test_a_form_of_nobody_leads_to_signing_in_and_back(browser: Browser, sent_from: str, back: str):
    headers = {"Referer": sent_from.replace("HOST", browser.host)} if sent_from else {}
    answer = browser.post("/settings/tokens", token="", headers=headers, name="x", role="Reader")
    assert (answer.status, answer.headers["location"]) == (303, f"/sign-in?back={back}&unsent=1")
    assert "nothing was changed" in browser.get(answer.headers["location"]).text


def test_a_script_of_nobody_is_told_so(browser: Browser):
    answer = browser.get("/fleet", Accept="*/*")
    assert answer.status == 401
    assert json.loads(answer.text)["message"] == "You are signed out."


@pytest.mark.parametrize("accepted", ["", "identity", "gzip;q=0", "gzip;q=0.000, *", "br", "*;q=0"])
def test_nothing_is_compressed_for_who_does_not_take_it(admin: Browser, accepted: str):
    for path in ("/fleet", Assets.load().url("style.css")):
        assert "content-encoding" not in admin.get(path, Accept_Encoding=accepted).headers
        assert admin.get(path, Accept_Encoding="br, gzip;q=0.5").headers["content-encoding"] == "gzip"  # control


def test_a_page_that_fails_says_so_without_saying_how(admin: Browser, console: RunningConsole):
    del console.fleet.roll[0]["policy"]
    answer = admin.get("/updates")
    assert answer.status == 500
    assert "its log holds the reason" in answer.text
    assert "policy" not in answer.text
    assert answer.headers["content-security-policy"] == POLICY


def test_the_export_is_the_filtered_fleet(admin: Browser):
    lines = admin.get("/fleet.csv?health=silent").text.splitlines()
    assert lines[0].startswith("device_id,name,health,last_check_in_utc")
    assert len(lines) == 3
    assert all(",silent," in line for line in lines[1:])


@pytest.mark.parametrize("path", ["/devices/%F0%9F%98%80", "/devices/a%0dX-Evil:1", "/devices/a%26b%3Dc%23x"])
def test_no_path_breaks_or_splits_a_header(browser: Browser, path: str):
    answer = browser.get(path, HX_Request="true")
    assert answer.status == 401
    assert answer.headers["hx-redirect"] == f"/sign-in?back={quote(unquote(path))}"
    assert "x-evil" not in answer.headers

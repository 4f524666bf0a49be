# SPDX-License-Identifier: Apache-2.0
"""A real Chromium, and a context of it that records everything that must not happen."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright
from tests.console.plain_browser import Served
from tests.fixtures.effort import is_long
from tests.fixtures.waiting import DEADLINE_S, wait_until

WHOLE, SHELL = Path("/usr/bin/chromium"), Path("/usr/bin/chromium-headless-shell")


def chromium_path() -> Path:
    """Chromium's headless shell where it is: the same engine without windows costs half. Whole Chromium in long runs."""
    named = os.environ.get("ARMILLARY_CHROMIUM")
    return Path(named) if named else SHELL if SHELL.exists() and not is_long() else WHOLE


ARGUMENTS = [
    "--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
ARTEFACTS = Path(__file__).parents[1] / "artefacts"
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}


def picture(page: Page | Locator, path: Path, **options: Any) -> None:
    """A picture for people, of the long run only: nothing is asserted of it, and it costs as much as the page."""
    if is_long():
        ARTEFACTS.mkdir(exist_ok=True)
        page.screenshot(path=path, **options)


def wait_true(page: Page, expression: str, arg: object = None) -> None:
    """Wait until JavaScript in the page is true.

    Playwright's own ``wait_for_function`` evaluates it in the page from the second look on, which the console's policy
    for scripts refuses.
    """
    wait_until(lambda: page.evaluate(expression, arg), expression)


Place = TypeVar("Place")


def some_of(places: Iterable[Place], look: str) -> list[Place]:
    """All places in light, half of them in the dark and the other half on a phone; all in each in the long run."""
    found = list(places)
    return found if look == "light" or is_long() else found[look == "phone" :: 2]


LOOKS = pytest.mark.parametrize(
    ("look", "options"),
    [
        ("light", {"color_scheme": "light"}),
        ("dark", {"color_scheme": "dark"}),
        ("phone", {"viewport": PHONE, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}),
    ],
)


@contextmanager
def chromium_browser() -> Iterator[Browser]:
    chromium = chromium_path()
    if not chromium.exists():
        pytest.skip(f"{chromium} is absent: apt-get install chromium (or name one in ARMILLARY_CHROMIUM)")
    expect.set_options(timeout=DEADLINE_S * 1000)  # Of this process, as all else waits; playwright's own is 5 s
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=ARGUMENTS)
        yield browser
        browser.close()


class Watched:
    """A browser context that records everything that must not happen."""

    def __init__(self, context: BrowserContext, console: Served, allowed: tuple[str, ...] = ()) -> None:
        self.context = context
        self.console = console
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.allowed = allowed
        context.on("request", self._request)
        context.on("console", lambda message: self._complain(message.type, message.text))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def _request(self, request: object) -> None:
        url = str(getattr(request, "url", ""))
        if not url.startswith(self.console.url + "/"):
            self.foreign.append(url)

    def _complain(self, kind: str, text: str) -> None:
        # A page that answers 404 is a test's own wish; everything else a browser complains of is a fault.
        wished = ("status of 404", *self.allowed)
        if kind in ("error", "warning") and not any(each in text for each in wished):
            self.complaints.append(f"{kind}: {text}")

    def sign_in(self, secret: str = "admin-secret") -> Page:  # noqa: S107 - a rehearsed token
        page = self.context.new_page()
        page.goto("/")
        page.get_by_label("Operator token").fill(secret)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/fleet")
        return page

# SPDX-License-Identifier: Apache-2.0
"""One visit to the console with an ordinary HTTP client: sign in, read the first line of the fleet page."""

from __future__ import annotations

import html
import http.cookiejar
import re
import ssl
import urllib.parse
import urllib.request
from pathlib import Path

from armillary.errors import HostError

TIMEOUT_S = 10
# Pages of the console are tens of kilobytes.
PAGE_LIMIT_BYTES = 1 << 20


def see_the_fleet(console_url: str, token: str, root_ca: str) -> str:
    """Sign in with ``token`` and return the fleet page's first sentence. Raises HostError if it shows none."""
    context = ssl.create_default_context(cadata=Path(root_ca).read_text("ascii"))
    browser = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=context), urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    )
    browser.addheaders = [("Accept", "text/html"), ("Origin", console_url.rstrip("/"))]
    sign_in = _read(browser, urllib.parse.urljoin(console_url, "/sign-in"))
    form = re.search(r'<form[^>]*action="/sign-in">(.*?)</form>', sign_in, re.DOTALL)
    hidden = re.findall(r'<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"', form[1] if form else "")
    fields = {name: html.unescape(value) for name, value in hidden}
    body = urllib.parse.urlencode({**fields, "token": token}).encode()
    fleet = _read(browser, urllib.parse.urljoin(console_url, "/sign-in"), body)
    headline = re.search(r"<h1[^>]*>(.*?)</h1>", fleet, re.DOTALL)
    if headline is None or "device" not in headline[1]:
        raise HostError("the console did not show the fleet after sign-in", remedy="Open its address in a browser.")
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", headline[1])).split())


def _read(browser: urllib.request.OpenerDirector, url: str, body: bytes | None = None) -> str:
    try:
        with browser.open(url, data=body, timeout=TIMEOUT_S) as response:
            text: str = response.read(PAGE_LIMIT_BYTES).decode("utf-8")
            return text
    except OSError as error:
        raise HostError(f"the console did not answer at {url}: {error}", remedy="Open it in a browser.") from error

# SPDX-License-Identifier: Apache-2.0
"""What people and their ways to sign in add to a service whose console is used already: resident memory, in MB.

Measured in one process, settled before and after: an administrator looks at the console; then 1,000 people are invited
and listed, 200 sessions are open, somebody asked to sign in by the provider (which does not answer), and the page that
registers a passkey was opened.
"""

from __future__ import annotations

import http.cookiejar
import re
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

from armillary.cli.terminal.connection import make_connection
from armillary.cli.terminal.remote import RemoteService
from bench.result import result
from bench.service_process import RunningService, memory_mb, running_service

PEOPLE = 1000
SESSIONS = 200
LIMIT_MB = 12.0
# Until the service has given back what its last work brought (roles/memory.py: 5 s after the time before).
SETTLE_S = 8.0
TIMEOUT_S = 30
# Nobody listens there: what signing in by a provider loads is loaded all the same.
ISSUER = "https://127.0.0.1:9"


class Browser:
    """As much of a browser as signing in needs."""

    def __init__(self, service: RunningService) -> None:
        self._api = str(service.ready["api"])
        context = ssl.create_default_context(cafile=str(service.ready["root_ca"]))
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._open = urllib.request.build_opener(jar, urllib.request.HTTPSHandler(context=context)).open

    def get(self, path: str) -> str:
        """A page; one that is refused is a page as well."""
        try:
            with self._open(self._api + path, timeout=TIMEOUT_S) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode()

    def sign_in(self, token: str) -> None:
        """Open a session by a token."""
        found = re.search(r'name="form_token" value="([0-9a-f]{128})"', self.get("/sign-in"))
        if found is None:
            raise RuntimeError("the sign-in page has no form")
        form = urlencode({"form_token": found[1], "token": token, "back": "/fleet"}).encode()
        with self._open(f"{self._api}/sign-in", form, timeout=TIMEOUT_S) as answer:
            answer.read()


def run() -> list[dict[str, object]]:
    """Memory before and after people came; the difference against its limit."""
    with running_service(oidc_issuer=ISSUER, oidc_client_id="armillary") as service:
        token, pem = str(service.ready["token"]), Path(str(service.ready["root_ca"])).read_text("ascii")
        browser = Browser(service)
        browser.sign_in(token)
        for path in ("/fleet", "/settings", "/alerts"):
            browser.get(path)
        time.sleep(SETTLE_S)
        before = memory_mb(service.process.pid)
        with RemoteService(make_connection(str(service.ready["api"]), token, pem)) as remote:
            for number in range(PEOPLE):
                remote.post("/people", {"email": f"person-{number}@people.example", "role": "Reader"})
            if len(list(remote.pages("/people"))) != PEOPLE:
                raise RuntimeError("not everybody who was invited is there")
        for _ in range(SESSIONS - 1):
            Browser(service).sign_in(token)
        for path in ("/people", "/sessions", "/account", "/account/new-passkey", "/sign-in/provider"):
            browser.get(path)
        time.sleep(SETTLE_S)
        value = memory_mb(service.process.pid) - before
    conditions = f"{PEOPLE} people, {SESSIONS} sessions, provider and passkey asked for; {before:.0f} MB before"
    return [result("people-memory", value, "MB resident", ("limit", LIMIT_MB), conditions)]

# SPDX-License-Identifier: Apache-2.0
"""A browser without a window: cookies, forms and their tokens over a real TLS connection."""

from __future__ import annotations

import http.client
import re
import ssl
from html import unescape
from http.cookies import SimpleCookie
from typing import Protocol
from urllib.parse import urlencode, urlsplit

BOUNDARY = "----a5c1f00d"


class Served(Protocol):
    """A console that is served somewhere."""

    url: str
    context: ssl.SSLContext


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")


class Browser:
    """As much of a browser as forms need: cookies, and the token of the last page."""

    def __init__(self, console: Served) -> None:
        self.host = urlsplit(console.url).netloc
        self.context = console.context
        self.cookies: dict[str, str] = {}
        self.form_token = ""

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPSConnection(self.host, context=self.context, timeout=20)
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        sent["Accept"] = "text/html,application/xhtml+xml,*/*;q=0.8"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, sent)
        answer = Answer(connection.getresponse())
        connection.close()
        for line in answer.headers.get_all("set-cookie") or []:
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        answer = self.send("GET", path, **headers)
        found = re.search(rb'name="form_token" value="([0-9a-f]{128})"', answer.body)
        if found:
            self.form_token = found[1].decode()
        return answer

    def post(
        self, path: str, *, token: str | None = None, headers: dict[str, str] | None = None, **fields: str
    ) -> Answer:
        body = urlencode({"form_token": self.form_token if token is None else token, **fields}).encode()
        sent = {
            "Content_Type": "application/x-www-form-urlencoded",
            "Origin": f"https://{self.host}",
            **(headers or {}),
        }
        return self.send("POST", path, body, **sent)

    def upload(self, path: str, files: dict[str, bytes], *, token: str | None = None, **fields: str) -> Answer:
        """Send a form with files, as a browser does."""
        given = {"form_token": self.form_token if token is None else token, **fields}
        parts = [f'name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in given.items()]
        parts += [
            f'name="{name}"; filename="{name}.bin"\r\nContent-Type: application/octet-stream\r\n\r\n'.encode()
            + data
            + b"\r\n"
            for name, data in files.items()
        ]
        head = b"--" + BOUNDARY.encode() + b"\r\n"
        body = b"".join(head + b"Content-Disposition: form-data; " + part for part in parts)
        body += b"--" + BOUNDARY.encode() + b"--\r\n"
        sent = {"Content_Type": f"multipart/form-data; boundary={BOUNDARY}", "Origin": f"https://{self.host}"}
        return self.send("POST", path, body, **sent)

    def confirm(self, path: str, **fields: str) -> Answer:
        """Open the page that asks at ``path`` and send its form, with ``fields`` typed or changed."""
        page = self.get(path)
        assert page.status == 200, page.text
        form = re.search(r'<form class="confirm" method="post" action="([^"]+)">(.*?)</form>', page.text, re.DOTALL)
        assert form is not None, page.text
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form[2]))
        hidden.pop("form_token")
        return self.post(form[1], **{**{name: unescape(value) for name, value in hidden.items()}, **fields})

    def sign_in(self, secret: str = "admin-secret") -> Answer:  # noqa: S107 - a rehearsed token
        self.get("/sign-in")
        answer = self._sign_in(secret)
        self.get("/help")
        return answer

    def _sign_in(self, secret: str) -> Answer:
        body = urlencode({"form_token": self.form_token, "token": secret, "back": "/fleet"}).encode()
        return self.send("POST", "/sign-in", body, Content_Type="application/x-www-form-urlencoded")


def signed_in(console: Served, secret: str = "admin-secret") -> Browser:  # noqa: S107 - a rehearsed token
    """A browser of somebody who is signed in."""
    made = Browser(console)
    assert made.sign_in(secret).status == 303
    return made

# SPDX-License-Identifier: Apache-2.0
"""Secrets are in the files that are made for them and nowhere else: not in the log, the audit log or any answer."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from tests.e2e.armillary_processes import Service, running_service

pytestmark = pytest.mark.e2e

KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)-----END")


def ask(service: Service, method: str, path: str, body: bytes | None = None, /, **headers: str) -> tuple[int, bytes]:
    address = urlsplit(service.ready["api"])
    context = ssl.create_default_context(cafile=service.ready["root_ca"])
    connection = http.client.HTTPSConnection("localhost", address.port, context=context, timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body=body, headers=named)
    response = connection.getresponse()
    return response.status, response.read()


def test_no_secret_is_in_the_log_the_audit_log_or_the_database(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_service(data, log_level="debug") as service:
        first = service.ready["token"]
        bearer = {"Authorization": f"Bearer {first}"}
        made = json.dumps({"name": "second", "role": "Reader"}).encode()
        status, answer = ask(service, "POST", "/api/v1/tokens", made, Content_Type="application/json", **bearer)
        assert status == 201
        second = json.loads(answer)["secret"]
        wrong = "arm_" + "w" * 43
        assert ask(service, "GET", "/api/v1/me", Authorization=f"Bearer {wrong}")[0] == 401
        assert ask(service, "GET", f"/api/v1/me?token={first}", Authorization=f"Bearer {first}x")[0] == 401
        form = urlencode({"token": first, "form_token": "0" * 128}).encode()
        assert ask(service, "POST", "/sign-in", form, Content_Type="application/x-www-form-urlencoded")[0] == 403
        assert ask(service, "POST", "/api/v1/tokens", b"{" + first.encode(), **bearer)[0] == 400
        shown = b"".join(
            ask(service, "GET", f"/api/v1/{place}", None, **bearer)[1]
            for place in ("audit", "tokens", "status", "openapi.json")
        )
    log = (tmp_path / "service.log").read_bytes()
    assert b"device endpoint ready" in log, "the log is the service's"
    stored = {path: path.read_bytes() for path in data.rglob("*") if path.is_file() and path.parent.name != "keys"}
    keys = [match.group(1) for path in (data / "keys").iterdir() for match in KEY.finditer(path.read_bytes())]
    assert len(keys) >= 6
    secrets = [first, second, wrong, *(b"".join(key.split()).decode()[40:100] for key in keys)]
    for secret in secrets:
        assert secret.encode() not in log
        assert secret.encode() not in shown
        assert not [path for path, content in stored.items() if secret.encode() in content]

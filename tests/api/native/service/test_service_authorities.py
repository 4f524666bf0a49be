# SPDX-License-Identifier: Apache-2.0
"""The service's own authorities over HTTP: everybody with a token sees them, administrators renew them."""

from __future__ import annotations

import base64

from cryptography import x509
from tests.api.running_service import RunningService, own_service

LIST = "/api/v1/service-authorities"
RENEW = LIST + "/renew"

service = own_service()  # other tests count authorities


def test_operators_see_what_signs_and_what_takes_over(service: RunningService) -> None:
    found = service.call("GET", LIST, token=service.token_of("Reader")).body["items"]
    kinds = [one["kind"] for one in found]
    assert kinds[:2] == ["root", "policy"]
    assert {"silicon", "os-signing", "image-signing", "server"} <= set(kinds)
    for one in found:
        certificate = x509.load_der_x509_certificate(base64.b64decode(one["certificate"]))
        assert f"{certificate.serial_number:034X}" == one["serial"]
        assert one["state"] in ("active", "next", "old")


def test_administrators_renew_and_each_renewal_is_a_line_of_the_audit_log(service: RunningService) -> None:
    maker = next(one["subject"] for one in service.call("GET", LIST).body["items"] if one["kind"] == "silicon")
    made = service.call("POST", RENEW, {"kind": "silicon", "name": maker})
    assert (made.status, made.body["kind"], made.body["subject"]) == (200, "silicon", maker)
    states = [
        one["state"]
        for one in service.call("GET", LIST).body["items"]
        if (one["kind"], one["subject"]) == ("silicon", maker)
    ]
    assert states == ["old", "active"]
    again = service.call("POST", RENEW, {"kind": "silicon", "name": maker})
    assert (again.status, again.body["code"]) == (409, "request.conflict")
    root = service.call("POST", RENEW, {"kind": "root"}).body
    roots = {one["serial"]: one["state"] for one in service.call("GET", LIST).body["items"] if one["kind"] == "root"}
    assert (len(roots), roots[root["serial"]]) == (2, "next")
    lines = service.call("GET", "/api/v1/audit").body["items"]
    renewed = [line["target"] for line in lines if line["operation"] == "authority.renew"]
    assert {made.body["serial"], root["serial"]} <= set(renewed)


def test_a_renewal_of_nothing_is_refused(service: RunningService) -> None:
    for body, status in (
        ({}, 400),
        ({"kind": "server"}, 400),
        ({"kind": "root", "name": "x"}, 400),
        ({"kind": "catalog"}, 400),
        ({"kind": "catalog", "name": "nobody"}, 404),
        ({"kind": "silicon", "name": "nobody"}, 404),
        ({"kind": "root", "more": 1}, 400),
    ):
        assert service.call("POST", RENEW, body).status in (status, 422 if status == 400 else status), body

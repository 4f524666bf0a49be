# SPDX-License-Identifier: Apache-2.0
"""Provisioning messages: any topic, user name and body is read or a WireError; answers never lead elsewhere."""

from __future__ import annotations

import contextlib

from armillary.errors import WireError
from armillary.wire.hub.provisioning import PREFIX, answer_topic, parse_request, parse_topic, parse_username
from armillary.wire.hub.provisioning_http import is_provisioning, parse_target


def seeds() -> list[bytes]:
    return [
        b"$dps/registrations/PUT/iotdps-register/?$rid=1",
        b"$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=5.ab.cd",
        b"0neABC/registrations/cable-7/api-version=2019-03-31&ClientVersion=x",
        b'{"registrationId": "cable-7", "payload": {"modelId": "dtmi:a;1"}}',
        b"/0neABC/registrations/cable-7/register?api-version=2021-06-01",
        b"/0neABC/registrations/cable-7/operations/5.ab.cd?api-version=2019-03-31",
    ]


def fuzz(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    found = parse_username(text)
    assert found is None or found[0].isalnum()
    with contextlib.suppress(WireError):
        answer = answer_topic(200, parse_topic(text).request_id)
        assert answer.startswith(PREFIX)
        assert not set(answer) & set("+#")
    with contextlib.suppress(WireError):
        assert 1 <= len(parse_target(text).registration_id) <= 128
        assert is_provisioning(text)
    with contextlib.suppress(WireError):
        assert 1 <= len(parse_request(data).registration_id) <= 128

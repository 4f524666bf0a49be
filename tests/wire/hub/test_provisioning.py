# SPDX-License-Identifier: Apache-2.0
"""Provisioning messages: topics, user names, requests and answers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.hub import provisioning

REGISTER = "$dps/registrations/PUT/iotdps-register/?"
POLL = "$dps/registrations/GET/iotdps-get-operationstatus/?"


def test_topics() -> None:
    assert provisioning.parse_topic(f"{REGISTER}$rid=a-1") == provisioning.RegisterTopic("a-1")
    assert provisioning.parse_topic(f"{POLL}$rid=2&operationId=5.ab.cd") == provisioning.PollTopic("2", "5.ab.cd")
    assert provisioning.answer_topic(202, "2", 3) == "$dps/registrations/res/202/?$rid=2&retry-after=3"
    for wrong in (
        REGISTER, f"{REGISTER}$rid=", f"{REGISTER}$rid=a b", f"{POLL}$rid=1", f"{POLL}$rid=1&operationId=a/b",
        "$dps/registrations/DELETE/x/?$rid=1", "devices/d/messages/events/", f"{REGISTER}$rid={'r' * 129}",
    ):  # fmt: skip
        with pytest.raises(WireError):
            provisioning.parse_topic(wrong)


def test_user_names_tell_who_registers() -> None:
    assert provisioning.parse_username("0neA/registrations/c-7/api-version=2019-03-31&ClientVersion=x") == (
        "0neA",
        "c-7",
    )
    for other in (None, "", "host/c-7/?api-version=2019-10-01", "a/b/registrations/c/x", "0neA/registrations//x"):
        assert provisioning.parse_username(other) is None


def test_requests() -> None:
    found = provisioning.parse_request(b'{"registrationId": "c-7", "payload": {"modelId": "dtmi:a;1"}, "other": 1}')
    assert (found.registration_id, found.payload) == ("c-7", {"modelId": "dtmi:a;1"})
    long = json.dumps({"registrationId": "c", "payload": "x" * provisioning.MAX_PAYLOAD_BYTES}).encode()
    for wrong in (
        b"", b"[]", b"{}", b'{"registrationId": 7}', b'{"registrationId": "a b"}', b"\xff", b'{"registrationId": NaN}',
        b"[" * 100_000, long, b" " * (provisioning.MAX_REQUEST_BYTES + 1), b'{"registrationId": ""}',
    ):  # fmt: skip
        with pytest.raises(WireError):
            provisioning.parse_request(wrong)


def test_results_have_the_services_shape() -> None:
    assigned = provisioning.RegistrationResult(
        registration_id="r", status="assigned", device_id="d", hub="h", is_new=True
    )
    body = json.loads(provisioning.result_body("5.1", assigned))
    assert (body["status"], body["registrationState"]["assignedHub"]) == ("assigned", "h")
    assert (body["registrationState"]["deviceId"], body["registrationState"]["substatus"]) == ("d", "initialAssignment")
    failed = provisioning.RegistrationResult(registration_id="r", status="failed", error_code=409001, message="taken")
    state = json.loads(provisioning.result_body("5.1", failed))["registrationState"]
    assert (state["errorCode"], state["errorMessage"]) == (409001, "taken")


@given(st.text(max_size=200))
def test_no_answer_leads_elsewhere(text: str) -> None:
    for candidate in (text, REGISTER + text, f"{REGISTER}$rid={text}", f"{POLL}$rid={text}&operationId={text}"):
        try:
            answer = provisioning.answer_topic(200, provisioning.parse_topic(candidate).request_id)
        except WireError:
            continue
        assert answer.startswith("$dps/registrations/res/200/?$rid=")
        assert not set(answer) & set("+# ")
        assert answer.count("/") == 4

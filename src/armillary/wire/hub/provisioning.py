# SPDX-License-Identifier: Apache-2.0
"""MQTT messages of the provisioning service (DPS), which a new device asks for its hub.

=========  ===================================================================================  ===========
what       topic                                                                                direction
=========  ===================================================================================  ===========
register   ``$dps/registrations/PUT/iotdps-register/?$rid={request}``                           from device
poll       ``$dps/registrations/GET/iotdps-get-operationstatus/?$rid={request}&operationId=..``  from device
answer     ``$dps/registrations/res/{status}/?$rid={request}[&retry-after={seconds}]``          to device
=========  ===================================================================================  ===========

The user name is ``{id scope}/registrations/{registration id}/api-version=..``; the client id is the registration id.
Answer 202 means "poll again after ``retry-after`` seconds", 200 has the result, 429 means "try later".
``provisioning_http.py`` has the same requests over HTTP.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal
from urllib.parse import unquote

from armillary.errors import WireError

FORMAT: Final = "provisioning"
FILTER: Final = "$dps/registrations/res/#"
PREFIX: Final = "$dps/"
# The client's request: an id and a small custom payload.
MAX_REQUEST_BYTES: Final = 16 * 1024
MAX_PAYLOAD_BYTES: Final = 8 * 1024

_USERNAME: Final = re.compile(r"([A-Za-z0-9]{1,32})/registrations/([^/]{1,128})/.*", re.DOTALL)
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_REQUEST: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_REGISTER: Final = "$dps/registrations/PUT/iotdps-register/?"
_POLL: Final = "$dps/registrations/GET/iotdps-get-operationstatus/?"


@dataclass(frozen=True, slots=True)
class RegisterTopic:
    """The device asks to be registered."""

    request_id: str


@dataclass(frozen=True, slots=True)
class PollTopic:
    """The device polls the state of its registration."""

    request_id: str
    operation_id: str


@dataclass(frozen=True, slots=True)
class RegistrationRequest:
    """The registration request of a device."""

    registration_id: str  # claimed identity
    payload: Any = None  # JSON of the device's own, such as ``{"modelId": ..}``


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationResult:
    """The result of a registration."""

    registration_id: str
    status: Literal["assigned", "failed", "disabled"]
    device_id: str = ""
    hub: str = ""  # host that the device belongs to
    payload: Any = None  # JSON that the enrolment gives to its devices
    is_new: bool = False  # the device was created by this registration
    initial_twin: Any = None  # of a new device: ``{"tags": .., "desired": ..}``
    registered_at: int = 0
    changed_at: int = 0
    error_code: int = 0  # of ``failed`` and ``disabled``
    message: str = ""  # its reason, for people


def parse_username(username: str | None) -> tuple[str, str] | None:
    """Id scope and registration id of a client of the provisioning service; None for every other client."""
    found = None if username is None else _USERNAME.fullmatch(username)
    return None if found is None else (found[1], unquote(found[2]))


def check_registration_id(text: str) -> str:
    """``text``, if it is a registration id, else raise WireError."""
    if _ID.fullmatch(text) is None:
        raise _fault("a registration id of 1 to 128 letters, digits and ._:-", ascii(text[:60]))
    return text


def parse_topic(topic: str) -> RegisterTopic | PollTopic:
    """Read a topic that a device publishes to; raises WireError if it is none of the two."""
    for prefix in (_REGISTER, _POLL):
        if topic.startswith(prefix):
            fields = dict(pair.partition("=")[::2] for pair in topic[len(prefix) :].split("&"))
            request_id, operation_id = fields.get("$rid", ""), unquote(fields.get("operationId", ""))
            if not _REQUEST.fullmatch(request_id) or (prefix is _POLL and not _REQUEST.fullmatch(operation_id)):
                raise _fault("a request id ($rid), and an operation id in a poll", ascii(topic[:120]))
            return RegisterTopic(request_id) if prefix is _REGISTER else PollTopic(request_id, operation_id)
    raise _fault("a topic of the provisioning service", ascii(topic[:120]))


def parse_request(body: bytes) -> RegistrationRequest:
    """Read a registration request; raises WireError if it is not JSON of this form, or too large."""
    if len(body) > MAX_REQUEST_BYTES:
        raise _fault(f"at most {MAX_REQUEST_BYTES} bytes", f"{len(body)}")
    try:
        document = json.loads(body.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise _fault("JSON in UTF-8", "something else") from None
    if not isinstance(document, dict) or not isinstance(document.get("registrationId"), str):
        raise _fault("an object with registrationId", type(document).__name__)
    payload = document.get("payload")
    if payload is not None and len(json.dumps(payload).encode("utf-8", "surrogatepass")) > MAX_PAYLOAD_BYTES:
        raise _fault(f"a payload of at most {MAX_PAYLOAD_BYTES} bytes", "more")
    return RegistrationRequest(check_registration_id(document["registrationId"]), payload)


def answer_topic(status: int, request_id: str, retry_after_s: int | None = None) -> str:
    """Topic of an answer."""
    patience = "" if retry_after_s is None else f"&retry-after={retry_after_s}"
    return f"$dps/registrations/res/{status}/?$rid={request_id}{patience}"


def assigning_body(operation_id: str) -> bytes:
    """Body of answer 202: the registration is in progress."""
    return json.dumps({"operationId": operation_id, "status": "assigning"}).encode()


def result_body(operation_id: str, result: RegistrationResult) -> bytes:
    """Body of answer 200: the result of the registration."""
    return json.dumps(
        {"operationId": operation_id, "status": result.status, "registrationState": _state(result)}
    ).encode()


def state_body(result: RegistrationResult) -> bytes:
    """Body of the answer to a look-up of a registration."""
    return json.dumps(_state(result)).encode()


def error_body(code: int, message: str) -> bytes:
    """An answer that is an error, in the service's shape."""
    return json.dumps({"errorCode": code, "message": message}).encode()


def _state(result: RegistrationResult) -> dict[str, Any]:
    state: dict[str, Any] = {"registrationId": result.registration_id, "status": result.status}
    if result.status != "assigned":
        return state | {"errorCode": result.error_code, "errorMessage": result.message}
    state |= {
        "createdDateTimeUtc": _utc(result.registered_at),
        "lastUpdatedDateTimeUtc": _utc(result.changed_at),
        "assignedHub": result.hub,
        "deviceId": result.device_id,
        "substatus": "initialAssignment" if result.is_new else "deviceDataMigrated",
        "etag": f"r-{result.changed_at}",
    }
    return state if result.payload is None else {**state, "payload": result.payload}


def _utc(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _no_number(text: str) -> float:
    raise ValueError(text)


def _fault(expected: str, got: str) -> WireError:
    return WireError(
        FORMAT,
        expected=expected,
        got=got,
        remedy="Use a client library of the provisioning service.",
        code="wire.provisioning",
    )

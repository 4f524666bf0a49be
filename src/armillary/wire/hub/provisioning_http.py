# SPDX-License-Identifier: Apache-2.0
"""The provisioning service's addresses over HTTP (DPS device API), for devices that speak no MQTT.

========  ========================================================================  ======
what      path, then ``?api-version=..``                                            method
========  ========================================================================  ======
register  ``/{id scope}/registrations/{registration id}/register``                  PUT
poll      ``/{id scope}/registrations/{registration id}/operations/{operation id}``  GET
look up   ``/{id scope}/registrations/{registration id}``                           POST
========  ========================================================================  ======

Bodies are those of ``provisioning.py``; a client shows its certificate, or a shared access signature for
``{id scope}/registrations/{registration id}`` in the Authorization header. 202 with Retry-After says "ask again".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qs, unquote

from armillary.errors import WireError
from armillary.wire.hub.provisioning import FORMAT, check_registration_id

# Requests and answers of these versions are the same as far as they are supported here.
VERSIONS: Final = ("2018-11-01", "2019-03-31", "2021-06-01")

# Clients send one; a longer query is no request of this service.
MAX_QUERY_FIELDS: Final = 16

_PATH: Final = re.compile(
    r"/([A-Za-z0-9]{1,32})/registrations/([^/]{1,400})(?:/(register)|/operations/([^/]{1,400}))?/?"
)
_OPERATION: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")


class CallKind(StrEnum):
    """Kind of request."""

    REGISTER = "register"
    POLL = "poll"
    LOOK_UP = "look up"


METHODS: Final[Mapping[CallKind, str]] = {CallKind.REGISTER: "PUT", CallKind.POLL: "GET", CallKind.LOOK_UP: "POST"}


@dataclass(frozen=True, slots=True)
class ProvisioningCall:
    """A parsed request to the provisioning service; not authenticated."""

    kind: CallKind
    scope: str  # id scope
    registration_id: str  # claimed identity
    operation_id: str = ""  # of a poll


def is_provisioning(target: str) -> bool:
    """Whether a request target is one of the provisioning service's."""
    return _PATH.fullmatch(target.partition("?")[0]) is not None


def parse_target(target: str) -> ProvisioningCall:
    """Read a request target, path and query.

    Raises WireError if it is not of this service, has no registration id, or another api-version.
    """
    path, _, query = target.partition("?")
    found = _PATH.fullmatch(path)
    if found is None:
        raise _fault("an address of the provisioning service", path[:80])
    try:
        version = parse_qs(query, max_num_fields=MAX_QUERY_FIELDS).get("api-version", [""])[-1]
    except ValueError:
        raise _fault(f"at most {MAX_QUERY_FIELDS} fields in the query", "more") from None
    if version not in VERSIONS:
        raise _fault(f"api-version={', '.join(VERSIONS)}", version[:40])
    registration_id = check_registration_id(unquote(found[2]))
    if found[4] is not None:
        operation_id = unquote(found[4])
        if _OPERATION.fullmatch(operation_id) is None:
            raise _fault("an operation id", operation_id[:60])
        return ProvisioningCall(CallKind.POLL, found[1], registration_id, operation_id)
    return ProvisioningCall(CallKind.REGISTER if found[3] else CallKind.LOOK_UP, found[1], registration_id)


def _fault(expected: str, got: str) -> WireError:
    return WireError(
        FORMAT,
        expected=expected,
        got=ascii(got),
        remedy="Use the device API of the provisioning service: PUT /SCOPE/registrations/ID/register.",
        code="wire.provisioning",
    )

# SPDX-License-Identifier: Apache-2.0
"""The device that a route, a query or a body is about: one type and one parser for devices of both kinds.

A device that attests has 128 hexadecimal digits as its id, a hub device whatever its maker called it. What both can do
is asked with :func:`known_device`; what only a device that attests has, with :func:`attesting_device`, which
answers for a hub device that there is no such thing, and why.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from starlette.requests import Request

from armillary.api.http.routes import service_of
from armillary.errors import InvalidArgumentError
from armillary.wire.hub.credentials import DEVICE_ID_PATTERN, is_attested_id

# What is wrong with an id is said by the parser, in words.
DevicePath = Annotated[
    str,
    Path(
        description="Id of a device: 128 hexadecimal digits, or the id of a hub device",
        max_length=300,
        json_schema_extra={"pattern": DEVICE_ID_PATTERN},
    ),
]


def known_device(request: Request, device_id: str) -> str:
    """The id, as kept, of an existing device of either kind. Raises InvalidArgumentError, NotFoundError."""
    return service_of(request).hub_access.known(device_id)


def known_identity(request: Request, device_id: str) -> str:
    """The identity that a route of the hub is about: a device of either kind, or with ``?module=`` a module of it.

    Raises as :func:`known_device`.
    """
    known = known_device(request, device_id)
    module = request.query_params.get("module")
    return known if module is None else service_of(request).hub_access.identities.get(f"{known}/{module}").identity


def attesting_device(request: Request, device_id: str) -> str:
    """The id, as it is kept, of a device that attests.

    Raises:
        InvalidArgumentError: no device has such an id; or a hub device has it, which does not attest.
        NotFoundError: there is no such device.
    """
    known = known_device(request, device_id)
    if not is_attested_id(known):
        raise InvalidArgumentError(
            f"{known!a:.80} is a hub device: it does not attest, and has no check-ins, boot, log or manufacture",
            remedy="Ask for a device that attests (armillary device list); what a hub device has: "
            "armillary hub-device show.",
        )
    return known

# SPDX-License-Identifier: Apache-2.0
"""Credentials of the hub's clients, and the identities they prove.

=====================  ====================================================  ==========================================
client                 identity                                              shows
=====================  ====================================================  ==========================================
device that attests    128 hex digits                                        the client certificate of its last check-in
its module             ``{device}/{module}``, registered                     the same
hub device             1 to 128 letters, digits and ``._:@=-``               a certificate, or a token by its key
its module             ``{device}/{module}``, registered                     its own certificate or key
=====================  ====================================================  ==========================================

A hub device proves that it holds a key and nothing about what it runs: *unattested*.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from armillary.errors import InvalidArgumentError

# IoT Hub's ids without the characters that mean something in a topic, a filter or a URL. An id of a device that attests
# is one of them. The expressions are for descriptions (JSON Schema) and for the parsers below.
DEVICE_ID_PATTERN: Final = "^[A-Za-z0-9][A-Za-z0-9._:@=-]{0,127}$"
_NAME: Final = re.compile(DEVICE_ID_PATTERN)
_MODULE: Final = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._:@=-]{0,63}")
_ATTESTED: Final = re.compile(r"[0-9A-Fa-f]{128}")

UNATTESTED: Final = "unattested"


@dataclass(frozen=True, slots=True)
class HubCredentials:
    """The credentials in a CONNECT packet or an https request."""

    certificate: bytes | None  # DER, verified by TLS against an authority of the hub
    client_id: str  # claimed identity
    password: str | None = field(default=None, repr=False)  # a shared access signature


@dataclass(frozen=True, slots=True)
class HubPeer:
    """The authenticated identity of a client."""

    identity: str  # as in the table above
    expires: float | None = None  # end of its credentials, Unix seconds; None: the certificate's own end
    catalog: str = ""  # clients of different catalogs never see each other; empty where there are none


def is_attested_id(identity: str) -> bool:
    """Whether an identity is that of a device that attests, or of a module of one."""
    return _ATTESTED.fullmatch(identity.partition("/")[0]) is not None


def canonical_device_id(text: str) -> str:
    """The stored form of a device id of either kind; raises InvalidArgumentError if no device has such an id."""
    if is_attested_id(text) and "/" not in text:
        return text.lower()
    if _NAME.fullmatch(text) is None:
        raise InvalidArgumentError(
            "device id: expected the 128 hexadecimal digits of a device that attests, or the id of a hub device"
            f" (1 to 128 letters, digits and ._:@=-), got {text!a:.60}",
            remedy="Copy it from the device's page, or list them: armillary device list, armillary hub-device list.",
        )
    return text


def device_of(identity: str) -> str:
    """The device's part of an identity."""
    return identity.partition("/")[0]


def check_device_name(name: str) -> str:
    """``name``, if a new hub device may have it, else raise InvalidArgumentError; no id of an attesting device."""
    if _NAME.fullmatch(name) is None or _ATTESTED.fullmatch(name):
        raise InvalidArgumentError(
            f"device id: expected 1 to 128 letters, digits and ._:@=- (not 128 hex digits), got {name!a:.60}",
            remedy="Rename the device; 128 hex digits are ids of devices that attest.",
        )
    return name


def check_module_name(name: str) -> str:
    """``name``, if a new module may have it, else raise InvalidArgumentError."""
    if _MODULE.fullmatch(name) is None:
        raise InvalidArgumentError(
            f"module id: expected 1 to 64 letters, digits and ._:@=-, got {name!a:.60}", remedy="Rename the module."
        )
    return name

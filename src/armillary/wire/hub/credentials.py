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
    """The credentials in a CONNECT packet or an https request.

    Attributes:
        certificate: DER, verified by TLS against some authority of the hub's; None without one.
        client_id: Claimed identity.
        password: A shared access signature, or None.
    """

    certificate: bytes | None
    client_id: str
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class HubPeer:
    """The authenticated identity of a client.

    Attributes:
        identity: As in the table above.
        expires: End of its credentials, Unix seconds; None where only the certificate's own end counts.
        catalog: Its catalog: clients of different catalogs never see each other. Empty where there are none.
    """

    identity: str
    expires: float | None = None
    catalog: str = ""


def is_attested_id(identity: str) -> bool:
    """Whether an identity is that of a device that attests, or of a module of one."""
    return _ATTESTED.fullmatch(identity.partition("/")[0]) is not None


def canonical_device_id(text: str) -> str:
    """The id of a device of either kind in its stored form, from what people and programs write.

    Raises:
        InvalidArgumentError: no device has such an id.
    """
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
    """A name for a new hub device.

    Raises:
        InvalidArgumentError: not allowed, or one that a device that attests could have.
    """
    if _NAME.fullmatch(name) is None or _ATTESTED.fullmatch(name):
        raise InvalidArgumentError(
            f"device id: expected 1 to 128 letters, digits and ._:@=- (not 128 hex digits), got {name!a:.60}",
            remedy="Rename the device; 128 hex digits are ids of devices that attest.",
        )
    return name


def check_module_name(name: str) -> str:
    """A name for a new module.

    Raises:
        InvalidArgumentError: not allowed.
    """
    if _MODULE.fullmatch(name) is None:
        raise InvalidArgumentError(
            f"module id: expected 1 to 64 letters, digits and ._:@=-, got {name!a:.60}", remedy="Rename the module."
        )
    return name

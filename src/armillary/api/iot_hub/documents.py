# SPDX-License-Identifier: Apache-2.0
"""IoT Hub's JSON shapes of devices, modules and twins, and reading what clients send in them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from armillary.engines.records.queries.hub import Authentication, HubIdentity
from armillary.engines.records.schema.rows import Device
from armillary.errors import InvalidArgumentError
from armillary.service.hub_access.identities import IdentityForm, Keys, etag_of
from armillary.twin.document.document import Twin, operator_view, timestamp
from armillary.wire.hub.credentials import UNATTESTED
from armillary.wire.hub.sas_token import decode_key, encode_key

# What IoT Hub writes for a time that never was.
NEVER: Final = "0001-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the hub knows of a connection; ``messages`` is how many wait for the device."""

    connected: bool
    last_seen_ms: int | None
    messages: int = 0
    model_id: str | None = None


def device_document(found: HubIdentity | Device, seen: Seen, keys: Keys | None = None) -> dict[str, Any]:
    """A device or module; keys only at the moment they are made."""
    if isinstance(found, Device):
        enabled = found.revoked_at is None and found.held_at is None and found.quarantined_at is None
        return {
            "deviceId": found.device_id,
            "generationId": str(found.enrolled_at),
            "etag": encoded_etag(f"d-{found.enrolled_at}-{found.claimed_at}-{int(enabled)}"),
            **_state(seen, enabled=enabled, reason=found.revoked_reason, changed=found.claimed_at),
            "authentication": _authentication("certificateAuthority", ("", ""), None),
            "capabilities": {"iotEdge": False},
        }
    device, _, module = found.identity.partition("/")
    document: dict[str, Any] = {
        "deviceId": device,
        "generationId": found.generation_id,
        "etag": encoded_etag(etag_of(found)),
        **_state(seen, enabled=found.is_enabled, reason=found.status_reason, changed=found.changed_at),
        "authentication": _authentication(
            "certificateAuthority" if found.authentication == "device" else found.authentication,
            (found.primary_thumbprint, found.secondary_thumbprint),
            keys,
        ),
    }
    if module:
        return {**document, "moduleId": module, "managedBy": None}
    return {**document, "capabilities": {"iotEdge": False}}


def twin_document(found: HubIdentity | Device, twin: Twin, seen: Seen) -> dict[str, Any]:
    """A twin as queries and twin routes show it. ``trustTier`` is ours: what the device proves."""
    view = operator_view(twin)
    device = device_document(found, seen)
    tier = found.trust_tier if isinstance(found, Device) else UNATTESTED
    document = {
        "deviceId": device["deviceId"],
        "etag": encoded_etag(twin.etag),
        "deviceEtag": device["etag"],
        "status": device["status"],
        "statusReason": device["statusReason"],
        "statusUpdateTime": device["statusUpdatedTime"],
        "connectionState": device["connectionState"],
        "lastActivityTime": device["lastActivityTime"],
        "cloudToDeviceMessageCount": seen.messages,
        "authenticationType": device["authentication"]["type"],
        "x509Thumbprint": device["authentication"]["x509Thumbprint"],
        "modelId": seen.model_id or "",
        "version": twin.version,
        "tags": view["tags"],
        "properties": view["properties"],
        "capabilities": {"iotEdge": False},
        "trustTier": tier,
    }
    return document if "moduleId" not in device else {**document, "moduleId": device["moduleId"]}


def form_of(document: Mapping[str, Any]) -> IdentityForm:
    """The device or module that a client's document describes. Raises InvalidArgumentError; WireError for a key."""
    authentication = _object(document.get("authentication") or {}, "authentication")
    kind = authentication.get("type") or "sas"
    if kind not in ("sas", "selfSigned", "certificateAuthority"):
        raise _fault("authentication.type", "sas, selfSigned or certificateAuthority", kind)
    status = document.get("status") or "enabled"
    if status not in ("enabled", "disabled"):
        raise _fault("status", "enabled or disabled", status)
    if _object(document.get("capabilities") or {}, "capabilities").get("iotEdge") not in (None, False):
        raise InvalidArgumentError(
            "capabilities.iotEdge: IoT Edge is not offered here, so no device is made an Edge device",
            remedy="Leave capabilities out, or say iotEdge: false; modules of a device work without it.",
        )
    prints = _object(authentication.get("x509Thumbprint") or {}, "authentication.x509Thumbprint")
    return IdentityForm(
        authentication=cast("Authentication", kind),
        keys=_keys(_object(authentication.get("symmetricKey") or {}, "authentication.symmetricKey"), kind),
        thumbprints=(_text(prints.get("primaryThumbprint")), _text(prints.get("secondaryThumbprint"))),
        is_enabled=status == "enabled",
        status_reason=_text(document.get("statusReason")),
    )


def decode_etag(given: str | None) -> str | None:
    """Our ETag in an If-Match; ``*`` stays."""
    if given is None:
        return None
    text = given.strip().removeprefix("W/").strip('"')
    if text == "*":
        return text
    try:
        return base64.b64decode(text, validate=True).decode("ascii")
    except (ValueError, UnicodeDecodeError):
        return text  # matches nothing


def etag_header(document: Mapping[str, Any]) -> dict[str, str]:
    """The ETag header of an answer."""
    return {"ETag": f'"{document["etag"]}"'}


def encoded_etag(text: str) -> str:
    """An ETag in IoT Hub's form."""
    return base64.b64encode(text.encode("ascii")).decode("ascii")


def _state(seen: Seen, *, enabled: bool, reason: str, changed: int | None) -> dict[str, Any]:
    return {
        "connectionState": "Connected" if seen.connected else "Disconnected",
        "status": "enabled" if enabled else "disabled",
        "statusReason": reason or None,
        "connectionStateUpdatedTime": _time_ms(seen.last_seen_ms),
        "statusUpdatedTime": NEVER if changed is None else timestamp(changed * 1000),
        "lastActivityTime": _time_ms(seen.last_seen_ms),
        "cloudToDeviceMessageCount": seen.messages,
    }


def _authentication(kind: str, prints: tuple[str, str], keys: Keys | None) -> dict[str, Any]:
    return {
        "type": kind,
        "symmetricKey": {
            "primaryKey": None if keys is None else encode_key(keys.primary),
            "secondaryKey": None if keys is None else encode_key(keys.secondary),
        },
        "x509Thumbprint": {
            "primaryThumbprint": prints[0].upper() or None,
            "secondaryThumbprint": prints[1].upper() or None,
        },
    }


def _keys(given: Mapping[str, Any], kind: str) -> Keys | None:
    primary, secondary = given.get("primaryKey"), given.get("secondaryKey")
    if kind != "sas" or not (primary or secondary):
        return None
    if not (isinstance(primary, str) and isinstance(secondary, str)):
        raise _fault("symmetricKey", "both keys, or none", "one")
    return Keys(decode_key(primary), decode_key(secondary))


def _time_ms(at_ms: int | None) -> str:
    return NEVER if at_ms is None else timestamp(at_ms)


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _fault(name, "an object", type(value).__name__)
    return value


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _fault("a text", "text", type(value).__name__)
    return value


def _fault(name: str, expected: str, got: object) -> InvalidArgumentError:
    return InvalidArgumentError(f"{name}: expected {expected}, got {got!a:.60}", remedy="Correct the device.")

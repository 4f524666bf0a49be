# SPDX-License-Identifier: Apache-2.0
"""Credentials and individual attestations of devices, in IoT Central's shape.

Symmetric keys are shown when they are made and never again, here too. A device that was made by ``PUT /api/devices/ID``
has none yet: asking for its credentials makes them, once; afterwards the answer is the id scope alone. In attestations
keys that are there read as empty text. A device that attests has neither keys nor a certificate of its own making.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from armillary.api.central.call import Call, body_object, field, match, wrong
from armillary.api.central.devices import etag, find
from armillary.engines.records.queries.hub import HubIdentity
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.hub_access.enrolments import scope_of
from armillary.service.hub_access.identities import IdentityForm, Keys, awaits_keys, etag_of
from armillary.wire.hub.sas_token import decode_key, encode_key

PEM_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
MAX_CERTIFICATE_CHARS: Final = 16_384


def credentials(call: Call) -> dict[str, Any]:
    """The id scope; and the symmetric keys of a device that had none, made now and shown this once."""
    found = find(call)
    shown: dict[str, Any] = {"idScope": scope_of(call.catalog.catalog_id)}
    if isinstance(found, HubIdentity) and found.authentication == "selfSigned":
        shown["x509"] = _client_certificates(found)
    if not isinstance(found, HubIdentity) or not awaits_keys(found):
        return shown
    form = IdentityForm(authentication="sas", is_enabled=found.is_enabled, status_reason=found.status_reason)
    _, keys = _put(call, found, form)
    return {**shown, "symmetricKey": _keys(keys)}


def get_attestation(call: Call) -> dict[str, Any]:
    """What a device shows that is its own; 404 for one that shows its enrolment group's, or has nothing yet."""
    found = _hub_device(call)
    if found.authentication == "selfSigned":
        return {"type": "x509", "x509": _client_certificates(found)}
    if found.authentication == "sas" and found.primary_key is not None and found.enrolment_id is None:
        return {"type": "symmetricKey", "symmetricKey": _keys(None)}
    raise NotFoundError(
        f"device {found.identity:.60} has no attestation of its own",
        remedy="Its enrolment group lets it in; or set one: PUT .../attestation.",
    )


def put_attestation(call: Call) -> dict[str, Any]:
    """Give a device its own keys or certificates; an open connection ends."""
    found, body = _hub_device(call), body_object(call)
    match("attestation", call.if_match, etag(call, found))
    made, keys = _put(call, found, _form(found, body))
    if made.authentication == "selfSigned":
        return {"type": "x509", "x509": _client_certificates(made)}
    return {"type": "symmetricKey", "symmetricKey": _keys(keys)}


def patch_attestation(call: Call) -> dict[str, Any]:
    """As PUT; of certificates, what the body does not name stays."""
    return put_attestation(call)


def delete_attestation(call: Call) -> None:
    """Take a device's own keys or certificates away: nothing opens it until an enrolment group or new ones do."""
    found = _hub_device(call)
    get_attestation(call)  # 404 where there is none
    match("attestation", call.if_match, etag(call, found))
    form = IdentityForm(
        authentication="sas", awaits_keys=True, is_enabled=found.is_enabled, status_reason=found.status_reason
    )
    _put(call, found, form)


def _hub_device(call: Call) -> HubIdentity:
    found = find(call)
    if not isinstance(found, HubIdentity):
        raise ConflictError(
            f"device {found.device_id[:16]}... attests: it shows the certificate of its last check-in",
            remedy="There is nothing to set.",
        )
    return found


def _put(call: Call, found: HubIdentity, form: IdentityForm) -> tuple[HubIdentity, Keys | None]:
    identities = call.service.hub_access.identities
    return identities.put(found.identity, form, actor=call.operator.name, if_match=etag_of(found))


def _form(found: HubIdentity, body: Mapping[str, Any]) -> IdentityForm:
    kind = field(body, "type", str, needed=True)
    stays: dict[str, Any] = {"is_enabled": found.is_enabled, "status_reason": found.status_reason}
    if kind == "symmetricKey":
        given = field(body, "symmetricKey", dict) or {}
        return IdentityForm(authentication="sas", keys=given_keys(given, "symmetricKey") or Keys.random(), **stays)
    if kind == "x509":
        certificates = (
            field(field(body, "x509", dict, needed=True) or {}, "clientCertificates", dict, needed=True) or {}
        )
        pems = [_certificate(certificates.get(name), f"x509.{name}") for name in ("primary", "secondary")]
        prints = (found.primary_thumbprint, found.secondary_thumbprint)
        return IdentityForm(
            authentication="selfSigned", certificates=(pems[0] or "", pems[1] or ""), thumbprints=prints, **stays
        )
    expected = "symmetricKey or x509 (a device with a TPM attests: armillary device create --root-of-trust tpm2)"
    raise wrong("type", expected, kind)


def _certificate(given: Any, name: str) -> str | None:
    if given is None:
        return None
    text = given.get("certificate") if isinstance(given, Mapping) else None
    if not isinstance(text, str):
        raise wrong(f"{name}.certificate", "text", text)
    return pem_of(text, name)


def given_keys(given: Mapping[str, Any], name: str) -> Keys | None:
    """The pair of symmetric keys in a body; None where it has none, to have them made.

    Raises:
        InvalidArgumentError: only one of them, or no text.
        WireError: one is malformed.
    """
    primary, secondary = given.get("primaryKey"), given.get("secondaryKey")
    if not primary and not secondary:
        return None
    if not (isinstance(primary, str) and isinstance(secondary, str)):
        raise wrong(name, "both keys, or none to have them made", "one")
    return Keys(decode_key(primary), decode_key(secondary))


def pem_of(text: str, name: str) -> str:
    """A certificate as PEM: it came as PEM, or as base64 of DER or PEM. Raises InvalidArgumentError if it is none."""
    if PEM_BEGIN in text or len(text) > MAX_CERTIFICATE_CHARS:
        return text
    try:
        raw = base64.b64decode("".join(text.split()), validate=True)
        if PEM_BEGIN.encode() in raw:
            return raw.decode("ascii")
        return x509.load_der_x509_certificate(raw).public_bytes(Encoding.PEM).decode("ascii")
    except (binascii.Error, ValueError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(
            f"{name}.certificate: expected one in PEM, or base64 of one", remedy="Give the certificate, not its key."
        ) from error


def certificate_shown(der: bytes) -> dict[str, Any]:
    """A certificate as this shape shows it."""
    certificate = x509.load_der_x509_certificate(der)
    return {
        "certificate": base64.b64encode(der).decode("ascii"),
        "info": {"sha1Thumbprint": certificate.fingerprint(hashes.SHA1()).hex().upper()},  # noqa: S303 - its name there
    }


def _client_certificates(found: HubIdentity) -> dict[str, Any]:
    shown = {}
    for name, der, thumbprint in (
        ("primary", found.primary_certificate, found.primary_thumbprint),
        ("secondary", found.secondary_certificate, found.secondary_thumbprint),
    ):
        if der is not None:
            shown[name] = certificate_shown(der)
        elif len(thumbprint) == 40:
            shown[name] = {"info": {"sha1Thumbprint": thumbprint.upper()}}
    return {"clientCertificates": shown}


def _keys(keys: Keys | None) -> dict[str, str]:
    if keys is None:
        return {"primaryKey": "", "secondaryKey": ""}
    return {"primaryKey": encode_key(keys.primary), "secondaryKey": encode_key(keys.secondary)}

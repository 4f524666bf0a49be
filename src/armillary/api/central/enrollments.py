# SPDX-License-Identifier: Apache-2.0
"""Enrolment groups in IoT Central's shape: symmetric keys, or one authority whose possession has to be proven.

Keys are shown when the group is made and never again: later they read as empty text. An authority is verified by a
certificate that it signed, never by ``"verified": true`` in a body.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from armillary.api.central.attestation import certificate_shown, given_keys, pem_of
from armillary.api.central.call import (
    Call,
    body_object,
    check_fields,
    check_id,
    field,
    match,
    paged_list,
    quoted,
    wrong,
)
from armillary.engines.records.queries.hub import HubEnrolment
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.hub_access.enrolment_form import EnrolmentForm
from armillary.service.hub_access.enrolments import scope_of
from armillary.service.hub_access.identities import Keys
from armillary.wire.hub.sas_token import encode_key

FIELDS: Final = ("attestation", "displayName", "enabled", "etag", "id", "idScope", "type")


def list_enrollments(call: Call) -> dict[str, Any]:
    """Enrolment groups by id."""
    found = [each for each in call.service.hub_access.enrolments.list(call.catalog.name) if each.is_group]
    return paged_list(call, found, lambda each: each.name, lambda each: document(call, each))


def get_enrollment(call: Call) -> dict[str, Any]:
    """An enrolment group."""
    return document(call, _found(call))


def put_enrollment(call: Call) -> dict[str, Any]:
    """Make an enrolment group; symmetric keys are in this answer and nowhere else."""
    body = _checked(call)
    kind, inner = _attestation(body.get("attestation"))
    form = EnrolmentForm(
        name=call.parameters["enrollment"],
        is_group=True,
        attestation="x509" if kind == "x509" else "symmetricKey",
        certificate=_primary(inner) if kind == "x509" else "",
        keys=given_keys(inner, "attestation.symmetricKey") if kind == "symmetricKey" else None,
        is_enabled=field(body, "enabled", bool, default=True) is not False,
    )
    match("enrollment group", call.if_match, None)
    made, keys = call.service.hub_access.enrolments.create(call.catalog.name, form, actor=call.operator.name)
    return document(call, made, keys)


def patch_enrollment(call: Call) -> dict[str, Any]:
    """Let devices register by a group, or not; what it asks for never changes."""
    found, body = _found(call), _checked(call)
    match("enrollment group", call.if_match, etag(found))
    if body.get("attestation") is not None and _attestation(body["attestation"])[0] != found.attestation:
        raise wrong("attestation.type", f"{found.attestation}, as it is", body["attestation"].get("type"))
    enabled = field(body, "enabled", bool)
    if enabled is not None and enabled != found.is_enabled:
        found = call.service.hub_access.enrolments.set_enabled(
            call.catalog.name, found.enrolment_id, enabled=enabled, actor=call.operator.name
        )
    return document(call, found)


def delete_enrollment(call: Call) -> None:
    """Delete a group; devices that registered with certificates of its authority are let in no more."""
    found = _found(call)
    match("enrollment group", call.if_match, etag(found))
    call.service.hub_access.enrolments.remove(call.catalog.name, found.enrolment_id, actor=call.operator.name)


def get_signer(call: Call) -> dict[str, Any]:
    """The authority of a group, and whether its possession was proven."""
    return _signer(_with_authority(call))


def put_signer(call: Call) -> dict[str, Any]:
    """Give a group another authority; nobody registers by it before its possession was proven."""
    found, body = _of_certificates(call), body_object(call)
    match("certificate", call.if_match, etag(found))
    pem = pem_of(field(body, "certificate", str, needed=True) or "", "certificate")
    return _signer(_set_authority(call, found, pem))


def delete_signer(call: Call) -> None:
    """Take a group's authority away: its devices are let in no more."""
    found = _with_authority(call)
    match("certificate", call.if_match, etag(found))
    _set_authority(call, found, None)


def verification_code(call: Call) -> dict[str, Any]:
    """The common name of the certificate that proves possession of the authority."""
    found = _with_authority(call)
    if found.is_verified:
        raise ConflictError(f"{found.name:.60}: its authority is verified already", remedy="There is nothing to prove.")
    return {"verificationCode": found.possession_nonce}


def verify(call: Call) -> None:
    """Take a certificate that the authority signed, with the verification code as its common name."""
    found = _with_authority(call)
    proof = pem_of(field(body_object(call), "certificate", str, needed=True) or "", "certificate")
    call.service.hub_access.enrolments.verify(call.catalog.name, found.enrolment_id, proof, actor=call.operator.name)


def document(call: Call, found: HubEnrolment, keys: Keys | None = None) -> dict[str, Any]:
    """An enrolment group in IoT Central's form; its keys only at the moment they are made."""
    attestation: dict[str, Any] = {"type": found.attestation}
    if found.attestation == "symmetricKey":
        shown = (b"", b"") if keys is None else (keys.primary, keys.secondary)
        names = ("primaryKey", "secondaryKey")
        attestation["symmetricKey"] = {
            name: encode_key(key) if key else "" for name, key in zip(names, shown, strict=True)
        }
    elif found.certificate is not None:
        attestation["x509"] = {"signingCertificates": {"primary": _signer(found)}}
    return {
        "id": found.name,
        "displayName": found.name,
        "enabled": found.is_enabled,
        "type": "iot",
        "attestation": attestation,
        "idScope": scope_of(call.catalog.catalog_id),
        "etag": quoted(etag(found)),
    }


def etag(found: HubEnrolment) -> str:
    """The ETag of what may change of a group."""
    state = f"{found.enrolment_id} {found.is_enabled} {found.is_verified} {found.possession_nonce}"
    return f"en-{sha256(state.encode() + (found.certificate or b'')).hexdigest()[:16]}"


def _found(call: Call) -> HubEnrolment:
    name = call.parameters["enrollment"]
    for each in call.service.hub_access.enrolments.list(call.catalog.name):
        if each.is_group and each.name == name:
            return each
    raise NotFoundError(f"there is no enrolment group {name!a:.80}", remedy="List them: GET /api/enrollmentGroups.")


def _of_certificates(call: Call) -> HubEnrolment:
    if call.parameters["entry"] != "primary":
        raise InvalidArgumentError(
            f"expected the certificate primary, got {call.parameters['entry']!a:.40}",
            remedy="A group has one authority: make a second group for the second.",
        )
    found = _found(call)
    if found.attestation != "x509":
        raise ConflictError(f"{found.name:.60} is a group of symmetric keys", remedy="Make another group.")
    return found


def _with_authority(call: Call) -> HubEnrolment:
    found = _of_certificates(call)
    if found.certificate is None:
        raise NotFoundError(f"{found.name:.60} has no authority yet", remedy="Set it: PUT .../certificates/primary.")
    return found


def _set_authority(call: Call, found: HubEnrolment, pem: str | None) -> HubEnrolment:
    return call.service.hub_access.enrolments.set_authority(
        call.catalog.name, found.enrolment_id, pem, actor=call.operator.name
    )


def _signer(found: HubEnrolment) -> dict[str, Any]:
    shown = certificate_shown(found.certificate or b"")
    return {"verified": found.is_verified, "info": shown["info"], "etag": quoted(etag(found))}


def _checked(call: Call) -> dict[str, Any]:
    body = body_object(call)
    check_fields("enrollment group", body, FIELDS)
    check_id(body, call.parameters["enrollment"])
    if body.get("type") not in (None, "iot"):
        raise wrong("type", "iot: there are no Edge devices here", body["type"])
    return body


def _attestation(given: Any) -> tuple[str, Mapping[str, Any]]:
    kind = given.get("type") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or kind not in ("symmetricKey", "x509"):
        raise wrong("attestation.type", "symmetricKey or x509", kind)
    inner = given.get(kind)
    if inner is not None and not isinstance(inner, Mapping):
        raise wrong(f"attestation.{kind}", "an object", inner)
    return str(kind), inner or {}


def _primary(inner: Mapping[str, Any]) -> str:
    certificates = inner.get("signingCertificates") or {}
    if not isinstance(certificates, Mapping) or certificates.get("secondary"):
        raise wrong("attestation.x509.signingCertificates", "a primary one: a group has one authority", certificates)
    primary = certificates.get("primary") or {}
    text = primary.get("certificate") if isinstance(primary, Mapping) else primary
    if text is None:
        return ""
    if not isinstance(text, str):
        raise wrong("attestation.x509.signingCertificates.primary.certificate", "text", text)
    return pem_of(text, "attestation.x509.signingCertificates.primary")

# SPDX-License-Identifier: Apache-2.0
"""The form of a new enrolment of hub devices, and its validation (``enrolments.py`` stores enrolments)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import BasicConstraints, Certificate, ExtensionNotFound

from armillary.errors import InvalidArgumentError
from armillary.service.hub_access.certificates import load_certificate
from armillary.service.hub_access.identities import Keys
from armillary.twin.document.section import check_patch
from armillary.wire.hub.credentials import check_device_name
from armillary.wire.hub.provisioning import check_registration_id

MAX_DOCUMENT_BYTES: Final = 8 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentForm:
    """An enrolment to make; ``name`` is the registration id, or the group's name.

    Attributes:
        certificate: PEM: the device's own, or the group's authority. A group may get its authority later: until then
            nobody can register by it.
        keys: Symmetric keys; None makes new ones.
        device_id: Of its device; empty for the registration id. Not for groups.
        initial_twin: Tags and desired properties of new devices; None for none.
        returned_payload: What devices get with their registration; None for nothing.
    """

    name: str
    is_group: bool
    attestation: Literal["x509", "symmetricKey"]
    certificate: str = ""
    keys: Keys | None = None
    device_id: str = ""
    initial_twin: Any = None
    returned_payload: Any = None
    is_enabled: bool = True


def check_form(form: EnrolmentForm) -> bytes | None:
    """The certificate (DER) of a form, None with symmetric keys; InvalidArgumentError or WireError for a wrong form."""
    check_registration_id(form.name)
    if form.device_id:
        if form.is_group:
            raise InvalidArgumentError("device_id: a group has many devices", remedy="Leave it out.")
        check_device_name(form.device_id)
    _check_documents(form)
    if form.attestation == "symmetricKey":
        if form.certificate:
            raise InvalidArgumentError("certificate: not with symmetric keys", remedy="Leave it out.")
        return None
    if form.keys is not None:
        raise InvalidArgumentError("keys: not with certificates", remedy="Leave them out.")
    if form.is_group and not form.certificate:
        return None
    return check_certificate(form.certificate, is_group=form.is_group)


def check_certificate(pem: str, *, is_group: bool) -> bytes:
    """An enrolment's certificate (DER), an authority's for a group; InvalidArgumentError if none."""
    certificate = load_certificate(pem)
    if is_group and not _is_authority(certificate):
        raise InvalidArgumentError(
            "certificate: expected an authority's (BasicConstraints CA) for a group", remedy="Give the signer."
        )
    return certificate.public_bytes(Encoding.DER)


def _is_authority(certificate: Certificate) -> bool:
    try:
        return bool(certificate.extensions.get_extension_for_class(BasicConstraints).value.ca)
    except (ExtensionNotFound, ValueError):
        return False


def _check_documents(form: EnrolmentForm) -> None:
    for what, document in (("initial_twin", form.initial_twin), ("returned_payload", form.returned_payload)):
        if document is not None and len(json.dumps(document).encode()) > MAX_DOCUMENT_BYTES:
            raise InvalidArgumentError(f"{what}: expected at most {MAX_DOCUMENT_BYTES} bytes", remedy="Say less.")
    twin = form.initial_twin
    if twin is not None and not (
        isinstance(twin, dict)
        and twin.keys() <= {"tags", "desired"}
        and all(isinstance(part, dict) for part in twin.values())
    ):
        raise InvalidArgumentError(
            "initial_twin: expected an object with tags and desired", remedy='Such as {"desired": {"interval": 60}}.'
        )
    for name, part in (twin or {}).items():
        check_patch(part, name)

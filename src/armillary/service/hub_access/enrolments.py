# SPDX-License-Identifier: Apache-2.0
"""Enrolments of hub devices, and registration by them: which device may register itself, and as what.

=================  ==================================================  ================================================
enrolment          the device shows                                    becomes a hub device that shows
=================  ==================================================  ================================================
one, certificate   that certificate                                    that certificate
one, key           a token by its key                                  the same key
group, authority   a certificate that the authority itself signed      any such certificate for its name
                   with the registration id as common name
group, key         a token by HMAC(group key, registration id)         the derived key
=================  ==================================================  ================================================

An authority is used only after the operator who gave it has proven to hold its key: by a certificate that it signed,
with a common name that we chose. An enrolment of one device is used before every group: a disabled one refuses its
device. What registers here attests nothing: the catalog's admission decides (``identities.py``).
"""

from __future__ import annotations

import hmac
import json
import secrets
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection

from armillary.engines.records.queries import catalogs as catalog_rows, hub as hub_rows
from armillary.engines.records.queries.hub import Authentication, HubEnrolment, HubIdentity, HubRegistration
from armillary.errors import (
    ArmillaryError,
    ConflictError,
    DeviceStateError,
    InvalidArgumentError,
    NotFoundError,
    SignatureError,
    UnknownDeviceError,
)
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.hub_access.certificates import claim_names, load_certificate
from armillary.service.hub_access.clients import check_issued
from armillary.service.hub_access.enrolment_form import EnrolmentForm, check_certificate, check_form
from armillary.service.hub_access.identities import MAX_DEVICES, HubIdentities, Keys, awaits_keys, taken
from armillary.service.registry.names import catalog_or_raise
from armillary.wire.hub.credentials import HubCredentials, check_device_name
from armillary.wire.hub.provisioning import RegistrationRequest, RegistrationResult, check_registration_id
from armillary.wire.hub.sas_token import derive_device_key, parse_sas_token, verify_sas_token

# Groups are looked through for each registration; enrolments of one are looked up.
MAX_GROUPS: Final = 100
MAX_ENROLMENTS: Final = 10_000
MAX_LISTED: Final = 1000

_LIST: Final = "List them: armillary hub-enrolment list."


@dataclass(frozen=True, slots=True)
class Applicant:
    """A client of the provisioning service that has shown what its enrolment asks for."""

    registration_id: str
    enrolment: HubEnrolment
    certificate: bytes | None


class HubEnrolments:
    """Stores enrolments and registers devices by them: the registration authority of the hub's provisioning service.

    Those that take a catalog raise NotFoundError if there is none of the name, or it has no such enrolment.
    """

    def __init__(self, context: Context, identities: HubIdentities, notices: Notices) -> None:
        self._context = context
        self._identities = identities
        self._notices = notices

    def create(self, catalog: str, form: EnrolmentForm, *, actor: str) -> tuple[HubEnrolment, Keys | None]:
        """Make an enrolment; its keys are returned only now.

        Raises:
            ConflictError: there is one of this name, or as many as there may be.
            InvalidArgumentError: a name, certificate or document is wrong.
        """
        der = check_form(form)
        enrolment_id = uuid4()
        keys = (form.keys or Keys.random()) if form.attestation == "symmetricKey" else None

        def change(connection: Connection) -> HubEnrolment:
            owner = catalog_or_raise(connection, catalog)
            present = hub_rows.enrolments(connection, owner.catalog_id)
            if any(each.name == form.name and each.is_group == form.is_group for each in present):
                raise ConflictError(f"catalog {owner.name} has an enrolment {form.name!r:.60} already", remedy=_LIST)
            limit = MAX_GROUPS if form.is_group else MAX_ENROLMENTS
            if sum(each.is_group == form.is_group for each in present) >= limit:
                raise ConflictError(f"catalog {owner.name} has {limit} of these enrolments", remedy=_LIST)
            made = HubEnrolment(
                enrolment_id=enrolment_id,
                catalog_id=owner.catalog_id,
                name=form.name,
                is_group=form.is_group,
                attestation=form.attestation,
                primary_key=None if keys is None else self._seal(keys.primary, enrolment_id, "primary"),
                secondary_key=None if keys is None else self._seal(keys.secondary, enrolment_id, "secondary"),
                certificate=der,
                possession_nonce=secrets.token_hex(24) if form.is_group and der is not None else "",
                is_verified=not (form.is_group and form.attestation == "x509"),
                device_id=form.device_id,
                initial_twin="" if form.initial_twin is None else json.dumps(form.initial_twin),
                returned_payload="" if form.returned_payload is None else json.dumps(form.returned_payload),
                is_enabled=form.is_enabled,
                created_at=self._context.now(),
                created_by=actor,
            )
            claim_names(connection, str(enrolment_id), der)
            hub_rows.put_enrolment(connection, made, is_new=True)
            detail = {"catalog": owner.name, "attestation": form.attestation, "group": form.is_group}
            detail |= {} if form.is_enabled else {"enabled": False}
            self._context.audit(connection, actor, "hub-enrolment.create", form.name, detail)
            return made

        made = self._context.records.write(change)
        self._notices.hub_trust_changed()
        return made, keys

    def list(self, catalog: str) -> tuple[HubEnrolment, ...]:
        """A catalog's enrolments by name."""
        return self._context.records.read(lambda c: hub_rows.enrolments(c, catalog_or_raise(c, catalog).catalog_id))

    def registrations(self, catalog: str, enrolment_id: UUID) -> tuple[HubRegistration, ...]:
        """The registrations by an enrolment, newest first, 1,000 at most."""

        def query(connection: Connection) -> tuple[HubRegistration, ...]:
            self._mine(connection, catalog, enrolment_id)
            return hub_rows.registrations(connection, enrolment_id, limit=MAX_LISTED)

        return self._context.records.read(query)

    def verify(self, catalog: str, enrolment_id: UUID, proof: str, *, actor: str) -> HubEnrolment:
        """Verify that the catalog's owner holds the key of a group's authority.

        ``proof`` is a certificate (PEM) that the authority signed, whose common name is the group's nonce;
        SignatureError if it is not.
        """
        leaf = load_certificate(proof).public_bytes(Encoding.DER)

        def change(connection: Connection) -> HubEnrolment:
            found = self._mine(connection, catalog, enrolment_id)
            if found.certificate is None or not found.possession_nonce:
                raise InvalidArgumentError(f"{found.name:.60} has no authority to verify", remedy=_LIST)
            check_issued(leaf, found.certificate, found.possession_nonce)
            made = replace(found, is_verified=True)
            hub_rows.put_enrolment(connection, made, is_new=False)
            self._context.audit(connection, actor, "hub-enrolment.verify", found.name, {})
            return made

        return self._context.records.write(change)

    def set_authority(self, catalog: str, enrolment_id: UUID, pem: str | None, *, actor: str) -> HubEnrolment:
        """Give a group another authority, or none: nobody registers by it before possession was proven again.

        Raises:
            ConflictError: it is no group of certificates, or another's authority has this name.
            InvalidArgumentError: not an authority's certificate.
        """
        der = None if pem is None else check_certificate(pem, is_group=True)

        def change(connection: Connection) -> HubEnrolment:
            found = self._mine(connection, catalog, enrolment_id)
            if not found.is_group or found.attestation != "x509":
                raise ConflictError(f"{found.name:.60} is no group of certificates", remedy="Make another enrolment.")
            nonce = "" if der is None else secrets.token_hex(24)
            made = replace(found, certificate=der, possession_nonce=nonce, is_verified=False)
            hub_rows.release_names(connection, str(enrolment_id))
            claim_names(connection, str(enrolment_id), der)
            hub_rows.put_enrolment(connection, made, is_new=False)
            self._context.audit(connection, actor, "hub-enrolment.authority", found.name, {"has": der is not None})
            return made

        made = self._context.records.write(change)
        self._close_members(made, gone=True)
        return made

    def set_enabled(self, catalog: str, enrolment_id: UUID, *, enabled: bool, actor: str) -> HubEnrolment:
        """Allow registration by an enrolment, or not; a disabled group's devices can no longer connect."""

        def change(connection: Connection) -> HubEnrolment:
            made = replace(self._mine(connection, catalog, enrolment_id), is_enabled=enabled)
            hub_rows.put_enrolment(connection, made, is_new=False)
            self._context.audit(connection, actor, "hub-enrolment.update", made.name, {"enabled": enabled})
            return made

        made = self._context.records.write(change)
        self._close_members(made, gone=not enabled)
        return made

    def remove(self, catalog: str, enrolment_id: UUID, *, actor: str) -> HubEnrolment:
        """Delete an enrolment. Its devices stay; those of a group with an authority can no longer connect."""

        def change(connection: Connection) -> HubEnrolment:
            found = self._mine(connection, catalog, enrolment_id)
            hub_rows.remove_enrolment(connection, enrolment_id)
            hub_rows.release_names(connection, str(enrolment_id))
            self._context.audit(connection, actor, "hub-enrolment.delete", found.name, {})
            return found

        found = self._context.records.write(change)
        self._close_members(found, gone=True)
        return found

    # -- devices --------------------------------------------------------------------------------------------------

    def authenticate(self, scope: str, registration_id: str, credentials: HubCredentials) -> Applicant:
        """The client that asks to be registered, once it has authenticated.

        Raises:
            UnknownDeviceError: no catalog has this scope, or no enrolment there matches.
            DeviceStateError: its enrolment is disabled, or the catalog does not admit it.
            SignatureError, WireError: its token or certificate is not valid.
        """
        check_registration_id(registration_id)
        found, admission = self._context.records.read(lambda c: _of_scope(c, scope, registration_id))
        own = next((each for each in found if not each.is_group and each.name == registration_id), None)
        kind = "x509" if credentials.certificate is not None else "symmetricKey"
        if not (admission.certificates if kind == "x509" else admission.symmetric_keys):
            raise DeviceStateError(
                "the catalog of this id scope does not admit devices that do not attest",
                remedy="Its administrator can: armillary hub-device admission.",
            )
        candidates = [own] if own is not None else [each for each in found if each.is_group and each.is_verified]
        refused: ArmillaryError | None = None
        for each in candidates:
            if each.attestation != kind:
                continue
            try:
                self._shows(each, scope, registration_id, credentials)
            except SignatureError as error:
                refused = error
                continue
            if not each.is_enabled:
                raise DeviceStateError(f"the enrolment of {registration_id:.60} is disabled", remedy=_LIST)
            return Applicant(registration_id, each, credentials.certificate)
        raise refused or UnknownDeviceError(f"no enrolment lets {registration_id!r:.80} register", remedy=_LIST)

    def register(self, applicant: Applicant, request: RegistrationRequest) -> RegistrationResult:
        """Make the applicant a hub device, or find the one that it is; its own faults are a result, no exception."""
        try:
            return self._context.records.write(lambda c: self._register(c, applicant, request))
        except (ConflictError, DeviceStateError, InvalidArgumentError, UnknownDeviceError) as error:
            return _refused(applicant, error)

    def look_up(self, applicant: Applicant) -> RegistrationResult:
        """The registration of an applicant; NotFoundError if it never registered or its device was deleted."""

        def query(connection: Connection) -> tuple[HubRegistration | None, HubIdentity | None]:
            owner = applicant.enrolment.catalog_id
            found = hub_rows.registration(connection, owner, applicant.registration_id)
            device = None if found is None else hub_rows.identity(connection, found.device_id)
            return found, device if device is not None and device.catalog_id == owner else None

        found, device = self._context.records.read(query)
        if found is None or device is None:
            raise NotFoundError(f"{applicant.registration_id:.60} is not registered", remedy="Register first.")
        if not device.is_enabled:
            return _refused(applicant, DeviceStateError(f"device {found.device_id:.60} is disabled"))
        return self._assigned(found, applicant.enrolment, is_new=found.registered_at == found.changed_at)

    def _register(
        self, connection: Connection, applicant: Applicant, request: RegistrationRequest
    ) -> RegistrationResult:
        if request.registration_id != applicant.registration_id:
            raise InvalidArgumentError("registrationId: expected that of the connection", remedy="Correct it.")
        enrolment = hub_rows.enrolment(connection, applicant.enrolment.enrolment_id)
        if enrolment is None or not enrolment.is_enabled:  # gone since it was asked
            raise UnknownDeviceError(f"the enrolment of {applicant.registration_id:.60} is gone")
        name = check_device_name(enrolment.device_id or applicant.registration_id)
        now = self._context.now()
        before = hub_rows.identity(connection, name)
        if before is not None and (not _may_register(before) or before.catalog_id != enrolment.catalog_id):
            raise taken(name)
        if before is not None and not before.is_enabled:
            raise DeviceStateError(f"device {name:.60} is disabled")
        if before is None and hub_rows.count_identities(connection, enrolment.catalog_id)[0] >= MAX_DEVICES:
            raise ConflictError(f"the catalog has {MAX_DEVICES} hub devices, which is all there may be")
        made = self._as_device(name, applicant, enrolment, before, now)
        claim_names(connection, name, made.primary_certificate)
        hub_rows.put_identity(connection, made, is_new=before is None)
        known = hub_rows.registration(connection, enrolment.catalog_id, applicant.registration_id)
        payload = "" if request.payload is None else json.dumps(request.payload)
        registration = HubRegistration(
            catalog_id=enrolment.catalog_id,
            registration_id=applicant.registration_id,
            enrolment_id=enrolment.enrolment_id,
            device_id=name,
            payload=payload,
            registered_at=now if known is None else known.registered_at,
            changed_at=now,
        )
        hub_rows.put_registration(connection, registration)
        detail = {"enrolment": enrolment.name, "new": before is None, "authentication": made.authentication}
        self._context.audit(connection, f"hub-enrolment {enrolment.enrolment_id}", "hub-device.register", name, detail)
        twin = enrolment.initial_twin if before is None else ""
        return self._assigned(registration, enrolment, is_new=before is None, twin=twin)

    def _assigned(
        self, found: HubRegistration, enrolment: HubEnrolment, *, is_new: bool, twin: str = ""
    ) -> RegistrationResult:
        returned = enrolment.returned_payload
        return RegistrationResult(
            registration_id=found.registration_id,
            status="assigned",
            device_id=found.device_id,
            hub=self._context.settings.public_host,
            payload=json.loads(returned) if returned else None,
            is_new=is_new,
            initial_twin=json.loads(twin) if twin else None,
            registered_at=found.registered_at,
            changed_at=found.changed_at,
        )

    def _as_device(
        self, name: str, applicant: Applicant, enrolment: HubEnrolment, before: HubIdentity | None, now: int
    ) -> HubIdentity:
        ways: dict[tuple[str, bool], Authentication] = {
            ("x509", True): "certificateAuthority",
            ("x509", False): "selfSigned",
            ("symmetricKey", True): "sas",
            ("symmetricKey", False): "sas",
        }
        made = HubIdentity(
            identity=name,
            catalog_id=enrolment.catalog_id,
            authentication=ways[enrolment.attestation, enrolment.is_group],
            etag=1 if before is None else before.etag + 1,
            generation_id=uuid4().hex if before is None else before.generation_id,
            enrolment_id=enrolment.enrolment_id,
            created_at=now if before is None else before.created_at,
            changed_at=now,
        )
        if made.authentication == "sas":
            primary, secondary = self._keys_of(enrolment, applicant.registration_id)
            return self._identities.with_keys(made, Keys(primary, secondary))
        if made.authentication == "selfSigned" and enrolment.certificate is not None:
            thumbprint = sha256(enrolment.certificate).hexdigest()
            return replace(made, primary_thumbprint=thumbprint, primary_certificate=enrolment.certificate)
        return made

    def _shows(self, enrolment: HubEnrolment, scope: str, registration_id: str, credentials: HubCredentials) -> None:
        if enrolment.attestation == "symmetricKey":
            token = parse_sas_token(credentials.password or "")
            keys = self._keys_of(enrolment, registration_id)
            resource = f"{scope}/registrations/{registration_id}"
            verify_sas_token(token, resource=resource, keys=keys, now=self._context.now())
            return
        shown, known = credentials.certificate or b"", enrolment.certificate or b""
        if enrolment.is_group:
            check_issued(shown, known, registration_id)
        elif not hmac.compare_digest(sha256(shown).digest(), sha256(known).digest()):
            raise SignatureError(
                "client certificate", expected=f"the one that {registration_id:.60} is enrolled with", got="another"
            )

    def _keys_of(self, enrolment: HubEnrolment, registration_id: str) -> tuple[bytes, bytes]:
        opened = [
            self._identities.sealer.open(sealed or b"", _purpose(enrolment.enrolment_id, which))
            for sealed, which in ((enrolment.primary_key, "primary"), (enrolment.secondary_key, "secondary"))
        ]
        if enrolment.is_group:
            opened = [derive_device_key(key, registration_id) for key in opened]
        return opened[0], opened[1]

    def _seal(self, key: bytes, enrolment_id: UUID, which: str) -> bytes:
        return self._identities.sealer.seal(key, _purpose(enrolment_id, which))

    def _mine(self, connection: Connection, catalog: str, enrolment_id: UUID) -> HubEnrolment:
        owner = catalog_or_raise(connection, catalog)
        found = hub_rows.enrolment(connection, enrolment_id)
        if found is None or found.catalog_id != owner.catalog_id:
            raise NotFoundError(f"catalog {owner.name} has no enrolment {enrolment_id}", remedy=_LIST)
        return found

    def _close_members(self, found: HubEnrolment, *, gone: bool) -> None:
        """Close the connections of devices that a group's authority certified."""
        if gone and found.is_group and found.attestation == "x509":
            members = self._context.records.read(
                lambda c: hub_rows.registrations(c, found.enrolment_id, limit=MAX_DEVICES)
            )
            for each in members:
                self._notices.hub_client_closed(each.device_id)
        self._notices.hub_trust_changed()


def _refused(applicant: Applicant, error: ArmillaryError) -> RegistrationResult:
    is_disabled = isinstance(error, DeviceStateError)
    return RegistrationResult(
        registration_id=applicant.registration_id,
        status="disabled" if is_disabled else "failed",
        error_code=403001 if is_disabled else 409001,
        message=error.message,
    )


def _may_register(before: HubIdentity) -> bool:
    """Whether a device that exists registered before, or was made by an operator ahead of its registration."""
    return before.enrolment_id is not None or awaits_keys(before)


def scope_of(catalog_id: UUID) -> str:
    """The id scope of a catalog, which its devices are configured with."""
    return f"0ne{catalog_id.hex[:12].upper()}"


def _of_scope(
    connection: Connection, scope: str, registration_id: str
) -> tuple[tuple[HubEnrolment, ...], hub_rows.Admission]:
    for catalog in catalog_rows.catalogs(connection):
        if hmac.compare_digest(scope_of(catalog.catalog_id).encode(), scope.encode()):
            found = hub_rows.enrolments_for(connection, catalog.catalog_id, registration_id)
            return found, hub_rows.admission(connection, catalog.catalog_id)
    raise UnknownDeviceError(f"no catalog has the id scope {scope!r:.40}", remedy="Look: armillary hub-enrolment list.")


def _purpose(enrolment_id: UUID, which: str) -> str:
    return f"hub enrolment {enrolment_id} {which}"

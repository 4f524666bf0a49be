# SPDX-License-Identifier: Apache-2.0
"""Authenticates clients of the hub; every check is made here, whatever TLS has checked before.

A certificate of ours (of a device that attests) is checked by ``peer.py``, and opens the device's own identity and its
registered modules. Any other client is a hub device: (1) registered, and so is its device where it is a module.
(2) Both are enabled. (3) The catalog admits what it shows. (4) It shows it: the certificate on record, one that its
group's authority signed for its name, or a shared access signature by one of its keys for itself that is not over.
"""

from __future__ import annotations

import hmac
from hashlib import sha1, sha256

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection

from armillary.engines.records.queries import devices as device_rows, hub as hub_rows
from armillary.engines.records.queries.hub import Admission, HubEnrolment, HubIdentity
from armillary.errors import (
    AppraisalError,
    DeviceStateError,
    SignatureError,
    UnknownDeviceError,
    WireError,
    WrongCatalogError,
)
from armillary.service.context.context import Context
from armillary.service.hub_access.identities import HubIdentities, admits
from armillary.service.hub_access.peer import HubPeers
from armillary.wire.certificates.certificate import parse_device_certificate
from armillary.wire.hub.credentials import HubCredentials, HubPeer, device_of, is_attested_id
from armillary.wire.hub.sas_token import parse_sas_token, verify_sas_token
from armillary.wire.hub.topics import device_address

_REMEDY = "Look at it: armillary hub-device show."


class HubClients:
    """Authenticates hub devices, modules and devices that attest."""

    def __init__(self, context: Context, peers: HubPeers, identities: HubIdentities) -> None:
        self._context = context
        self._peers = peers
        self._identities = identities

    def admit(self, credentials: HubCredentials) -> HubPeer:
        """Authenticate a client.

        Raises:
            DeviceFault: it may not use the hub; the leaf class says why.
            SignatureError: its token or certificate is not its own, or has ended.
            WireError: its token is malformed.
        """
        certificate = credentials.certificate
        if certificate is not None and (_is_ours(certificate) or is_attested_id(credentials.client_id)):
            return self._attested(certificate, credentials.client_id)
        # (1)
        found, device, admission, enrolment = self._context.records.read(lambda c: _read(c, credentials.client_id))
        if not (found.is_enabled and device.is_enabled):  # (2)
            raise DeviceStateError(f"{found.identity:.80} is disabled", remedy=_REMEDY)
        shown = _shown(found, device)
        if not admits(admission, shown):  # (3)
            kind = "symmetric keys" if shown.authentication == "sas" else "certificates that do not attest"
            raise DeviceStateError(
                f"the catalog of {found.identity:.80} does not admit {kind}",
                remedy="Its administrator can: armillary hub-device admission.",
            )
        if shown.authentication == "sas":  # (4)
            return HubPeer(found.identity, self._by_key(shown, found.identity, credentials), str(found.catalog_id))
        if certificate is None:
            raise AppraisalError(f"{found.identity:.80} shows no certificate", remedy="Connect with its certificate.")
        if shown.authentication == "selfSigned":
            _by_thumbprint(shown, certificate)
        else:
            _by_authority(shown, enrolment, certificate)
        return HubPeer(found.identity, catalog=str(found.catalog_id))

    def _attested(self, certificate: bytes, client_id: str) -> HubPeer:
        peer = self._peers.authenticate(certificate)
        device_id = peer.identity
        owner, slash, _ = client_id.partition("/")
        if not slash or owner.lower() != device_id:
            return peer
        identity = device_id + client_id[len(device_id) :]

        def query(connection: Connection) -> HubIdentity | None:
            found, enrolled = hub_rows.identity(connection, identity), device_rows.enrolled(connection, device_id)
            if found is None or enrolled is None or enrolled.catalog_id != found.catalog_id:  # an earlier owner's
                return None
            return found

        module = self._context.records.read(query)
        if module is None:
            raise UnknownDeviceError(f"module {identity[128:]!r:.80} of the device is not registered", remedy=_REMEDY)
        if not module.is_enabled:
            raise DeviceStateError(f"module {identity[128:]!r:.80} is disabled", remedy=_REMEDY)
        return HubPeer(identity, catalog=peer.catalog)

    def _by_key(self, shown: HubIdentity, identity: str, credentials: HubCredentials) -> float:
        if not credentials.password:
            raise AppraisalError(
                f"{identity:.80} shows no shared access signature", remedy="Connect with a token by its key."
            )
        token = parse_sas_token(credentials.password)
        keys = self._identities.keys_of(shown)
        return verify_sas_token(token, resource=device_address(identity), keys=keys, now=self._context.now())


def _read(connection: Connection, client_id: str) -> tuple[HubIdentity, HubIdentity, Admission, HubEnrolment | None]:
    """A registered client, its device, what its catalog admits, and the enrolment of what it shows."""
    found = hub_rows.identity(connection, client_id)
    device = found if "/" not in client_id else hub_rows.identity(connection, device_of(client_id))
    if found is None or device is None:
        raise UnknownDeviceError(f"{client_id!r:.80} is not registered here", remedy=_REMEDY)
    enrolment_id = _shown(found, device).enrolment_id
    enrolment = None if enrolment_id is None else hub_rows.enrolment(connection, enrolment_id)
    return found, device, hub_rows.admission(connection, found.catalog_id), enrolment


def _shown(found: HubIdentity, device: HubIdentity) -> HubIdentity:
    """Whose key or certificate a client shows: its device's, or its own."""
    return device if found.authentication == "device" else found


def _is_ours(der: bytes) -> bool:
    """Whether a certificate says that it names a device that attests; ``peer.py`` judges it then."""
    try:
        parse_device_certificate(der)
    except WireError:
        return False
    return True


def _by_thumbprint(shown: HubIdentity, der: bytes) -> None:
    digests = {64: sha256(der).hexdigest(), 40: sha1(der).hexdigest()}  # noqa: S324 - IoT Hub's thumbprints
    known = [one for one in (shown.primary_thumbprint, shown.secondary_thumbprint) if one]
    if not any([hmac.compare_digest(digests[len(one)], one) for one in known]):  # noqa: C419 - all are compared
        raise SignatureError(
            "client certificate", expected=f"the one on record for {shown.identity:.60}", got="another", remedy=_REMEDY
        )


def _by_authority(shown: HubIdentity, enrolment: HubEnrolment | None, der: bytes) -> None:
    if enrolment is None or enrolment.certificate is None or not (enrolment.is_verified and enrolment.is_enabled):
        raise WrongCatalogError(f"the enrolment group of {shown.identity:.80} is gone or disabled", remedy=_REMEDY)
    check_issued(der, enrolment.certificate, shown.identity)


def check_issued(der: bytes, authority_der: bytes, name: str) -> None:
    """Raise SignatureError unless an authority signed a certificate for a name; the hub's front checks its times."""
    leaf, authority = x509.load_der_x509_certificate(der), x509.load_der_x509_certificate(authority_der)
    try:
        leaf.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        raise SignatureError(
            "client certificate",
            expected="one that the enrolment group's own authority signed",
            got="another",
            remedy="Sign device certificates with the authority that the group names, with none between.",
        ) from None
    names = [each.value for each in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [name]:
        raise SignatureError(
            "client certificate",
            expected=f"the common name {name:.60}",
            got=f"{names!r:.100}",
            remedy="The common name is the registration id, and the device id.",
        )

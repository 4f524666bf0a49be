# SPDX-License-Identifier: Apache-2.0
"""Authenticates controllers: target token, gateway token, or a client certificate; what fails says not why.

(1) The tenant of the path has to be one, and its catalog has to admit what the controller shows. Prevents that a fleet
    which an operator never let in is served.
(2) *TargetToken*: the token of the device whose id the path names. Prevents that a device speaks for another.
(3) *GatewayToken*: the token of the catalog; a gateway speaks for all its devices.
(4) *Certificate*: TLS has checked the chain and the times; here: that an authority of this catalog signed it, and that
    its common name is the controller id. TLS trusts the authorities of all catalogs together, so without this check one
    catalog's device could speak for another's.
(5) A device that was revoked is not admitted, whatever it shows. With (3) and (4) an unknown controller registers
    itself where the catalog says into which group.

The Authorization header decides alone where it is there: a wrong token is not made good by a certificate.
"""

from __future__ import annotations

import hmac
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection

from armillary.engines.records.bridge import devices as bridge_rows
from armillary.engines.records.schema.bridge_rows import BridgeAdmission, BridgeDevice
from armillary.errors import InvalidArgumentError, UnauthenticatedError
from armillary.service.bridge.devices import BridgeDevices
from armillary.service.bridge.tokens import TokenHashes
from armillary.service.context.context import Context
from armillary.wire.hawkbit.controller import is_controller, tenant_key

TARGET: Final = "targettoken"
GATEWAY: Final = "gatewaytoken"
# Longer headers hold no token of a controller.
MAX_HEADER_CHARS: Final = 512
_REMEDY: Final = (
    "Show a TargetToken, a GatewayToken or a client certificate that the catalog admits: armillary bridge admission."
)


class BridgeCallers:
    """Finds out which bridged device sends a request. From any thread."""

    def __init__(self, context: Context, devices: BridgeDevices, hashes: TokenHashes) -> None:
        self._context = context
        self._devices = devices
        self._hashes = hashes

    def authenticate(
        self, tenant: str, controller: str, header: str, certificate: bytes | None
    ) -> tuple[BridgeAdmission, BridgeDevice]:
        """The device behind a request to a path of ``tenant`` and ``controller``, and what its catalog admits.

        ``header`` is the Authorization header, empty for none; ``certificate`` the client's, DER, as TLS verified it.

        Raises:
            UnauthenticatedError: none is.
        """
        try:
            key = tenant_key(tenant)
        except InvalidArgumentError:
            raise not_admitted() from None
        if not is_controller(controller) or len(header) > MAX_HEADER_CHARS:
            raise not_admitted()
        scheme, _, token = header.partition(" ")
        shown = self._hashes.of(token.strip()) if token else b""

        def query(connection: Connection) -> tuple[BridgeAdmission, BridgeDevice | None]:
            admission = bridge_rows.admission_of_tenant(connection, key)
            if admission is None:
                raise not_admitted()
            found = bridge_rows.device(connection, admission.catalog_id, controller)
            self._check(connection, admission, found, scheme.lower(), shown, controller, certificate)
            return admission, found

        admission, found = self._context.records.read(query)
        if found is None and scheme.lower() != TARGET:
            found = self._devices.register(admission, controller)
        if found is None or found.revoked:
            raise not_admitted()
        return admission, found

    def _check(
        self,
        connection: Connection,
        admission: BridgeAdmission,
        found: BridgeDevice | None,
        scheme: str,
        shown: bytes,
        controller: str,
        certificate: bytes | None,
    ) -> None:
        """Raise unless what is shown is admitted (2), (3), (4)."""
        if scheme == TARGET:
            stored = bridge_rows.token_hash(connection, found.number) if found is not None else None
            good = admission.target_tokens and hmac.compare_digest(stored or b"", shown) and bool(stored)
        elif scheme == GATEWAY:
            stored = admission.gateway_token_hash
            good = hmac.compare_digest(stored or b"", shown) and bool(stored)
        elif not scheme and certificate is not None and admission.certificates:
            known = bridge_rows.authorities(connection, admission.catalog_id)
            ders = [each.der for each in known if each.not_after > self._context.now()]
            good = _is_issued(certificate, ders, controller, self._context.now())
        else:
            good = False
        if not good:
            raise not_admitted()


def not_admitted() -> UnauthenticatedError:
    """The error for a controller that is not admitted; it does not say whether there is such a tenant or device."""
    return UnauthenticatedError("the controller is not admitted", remedy=_REMEDY)


def _is_issued(der: bytes, authorities: list[bytes], controller: str, now: int) -> bool:
    """Whether one of the authorities signed a certificate for this controller that is valid now.

    TLS checked its times in the handshake; a connection may be older than that.
    """
    try:
        leaf = x509.load_der_x509_certificate(der)
        names = [each.value for each in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except ValueError:  # TLS is less strict
        return False
    if not leaf.not_valid_before_utc.timestamp() <= now <= leaf.not_valid_after_utc.timestamp():
        return False
    return names == [controller] and any(_signed(leaf, each) for each in authorities)


def _signed(leaf: x509.Certificate, authority: bytes) -> bool:
    try:
        leaf.verify_directly_issued_by(x509.load_der_x509_certificate(authority))
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True

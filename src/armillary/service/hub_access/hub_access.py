# SPDX-License-Identifier: Apache-2.0
"""Who may use the hub, and what the hub and the application platform ask of the service."""

from __future__ import annotations

from armillary.engines.records.queries.hub import HubIdentity
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.service.authority.authority import Authority
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.hub_access.clients import HubClients
from armillary.service.hub_access.directory import HubDirectory
from armillary.service.hub_access.enrolments import HubEnrolments
from armillary.service.hub_access.identities import HubIdentities
from armillary.service.hub_access.operations import HubDeviceOperations
from armillary.service.hub_access.peer import HubPeers
from armillary.service.hub_access.service_keys import HubServiceKeys
from armillary.service.hub_access.updates import HubUpdates
from armillary.service.registry.names import no_device
from armillary.service.registry.registry import Registry
from armillary.service.watch.heard_at_hub import HeardAtHub
from armillary.wire.hub.credentials import canonical_device_id, is_attested_id


class HubAccess:
    """All operations on who may use the hub, by noun. Synchronous and thread-safe."""

    def __init__(
        self, context: Context, authority: Authority, registry: Registry, notices: Notices, heard: HeardAtHub
    ) -> None:
        self._registry = registry
        self.identities = HubIdentities(context, authority, notices)
        self.operations = HubDeviceOperations(self.identities, registry)
        self.enrolments = HubEnrolments(context, self.identities, notices)
        self.service_keys = HubServiceKeys(context, self.identities, notices)
        self.directory = HubDirectory(context, registry.names)
        self.updates = HubUpdates(context, registry.devices)
        self._peers = HubPeers(context, authority, heard)
        self.clients = HubClients(context, self._peers, self.identities)

    def authenticate(self, certificate_der: bytes) -> str:
        """The device id of a client certificate that may use the hub; DeviceFault if it may not."""
        return self._peers.authenticate(certificate_der).identity

    def known(self, device_id: str) -> str:
        """The stored id of a device of either kind.

        Raises:
            InvalidArgumentError: no device has such an id.
            NotFoundError: there is no such device.
        """
        known = canonical_device_id(device_id)
        if is_attested_id(known):
            return self._registry.devices.get(known).device_id
        try:
            return self.identities.get(known).identity
        except NotFoundError:
            raise no_device(known) from None

    def hub_device(self, device_id: str) -> HubIdentity:
        """A hub device.

        Raises:
            InvalidArgumentError: no device has such an id; or a device has it that attests.
            NotFoundError: there is none.
        """
        known = self.known(device_id)
        if is_attested_id(known):
            raise InvalidArgumentError(
                f"device {known[:12]}... attests: it is no hub device, and has no keys or certificate of its own here",
                remedy="Ask for it as a device: armillary device show, GET /api/v1/devices/ID.",
            )
        return self.identities.get(known)

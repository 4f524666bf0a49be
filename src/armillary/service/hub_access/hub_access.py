# SPDX-License-Identifier: Apache-2.0
"""Who may use the hub, and what the hub and the application platform ask of the service."""

from __future__ import annotations

from armillary.service.authority.authority import Authority
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.hub_access.clients import HubClients
from armillary.service.hub_access.directory import HubDirectory
from armillary.service.hub_access.enrolments import HubEnrolments
from armillary.service.hub_access.identities import HubIdentities
from armillary.service.hub_access.peer import HubPeers
from armillary.service.hub_access.service_keys import HubServiceKeys
from armillary.service.hub_access.updates import HubUpdates
from armillary.service.registry.registry import Registry


class HubAccess:
    """Its operations, by noun. Synchronous and thread-safe."""

    def __init__(self, context: Context, authority: Authority, registry: Registry, notices: Notices) -> None:
        self.identities = HubIdentities(context, authority, notices)
        self.enrolments = HubEnrolments(context, self.identities, notices)
        self.service_keys = HubServiceKeys(context, self.identities, notices)
        self.directory = HubDirectory(context, registry.names)
        self.updates = HubUpdates(context, registry.devices)
        self._peers = HubPeers(context, authority)
        self.clients = HubClients(context, self._peers, self.identities)

    def authenticate(self, certificate_der: bytes) -> str:
        """The device id of a client certificate that may use the hub.

        Raises:
            DeviceFault: it may not.
        """
        return self._peers.authenticate(certificate_der).identity

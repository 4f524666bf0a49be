# SPDX-License-Identifier: Apache-2.0
"""Everything about bridged devices of one service, put together."""

from __future__ import annotations

from armillary.service.authority.authority import Authority
from armillary.service.bridge.actions import ControllerActions
from armillary.service.bridge.admissions import BridgeAdmissions
from armillary.service.bridge.artifacts import BridgeArtifacts
from armillary.service.bridge.callers import BridgeCallers
from armillary.service.bridge.devices import BridgeDevices
from armillary.service.bridge.operations import ActionOperations
from armillary.service.bridge.polls import Polls
from armillary.service.bridge.rates import BridgeRates
from armillary.service.bridge.tokens import TokenHashes
from armillary.service.context.blobs import Blobs
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.updates.updates import Updates


class Bridge:
    """All operations on bridged devices, by noun. Synchronous and thread-safe."""

    def __init__(
        self, context: Context, authority: Authority, blobs: Blobs, updates: Updates, notices: Notices
    ) -> None:
        hashes = TokenHashes(authority.hub_secret)
        self._polls = Polls(context)
        self.admissions = BridgeAdmissions(context, notices, hashes)
        self.rates = BridgeRates(context)
        self.devices = BridgeDevices(context, notices, hashes)
        self.callers = BridgeCallers(context, self.devices, hashes)
        self.artifacts = BridgeArtifacts(context, blobs, updates.images)
        self.actions = ControllerActions(context, updates.offers, self._polls, notices)
        self.operations = ActionOperations(context, updates.offers)

    def close(self) -> None:
        """Write what was gathered, and delete uploads under way."""
        self._polls.flush()
        self.artifacts.close()

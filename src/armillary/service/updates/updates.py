# SPDX-License-Identifier: Apache-2.0
"""Everything about images, deployments, offers and roll-outs of one service, put together."""

from __future__ import annotations

from armillary.service.authority.authority import Authority
from armillary.service.context.blobs import Blobs
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.repository.repository import Repository
from armillary.service.updates.bills import Bills
from armillary.service.updates.check_now import CheckNow
from armillary.service.updates.deployments import Deployments
from armillary.service.updates.images import Images
from armillary.service.updates.offers import Offers
from armillary.service.updates.os_rollouts import OsRollouts
from armillary.service.updates.planner import Planner
from armillary.service.updates.rollouts import Rollouts
from armillary.service.updates.schedules import Schedules
from armillary.service.updates.standing import Standings
from armillary.service.updates.trust_stores import TrustStores
from armillary.service.uploads.held_packages import HeldPackages


class Updates:
    """All operations on images, deployments and roll-outs, by noun. Synchronous and thread-safe."""

    def __init__(
        self,
        context: Context,
        authority: Authority,
        blobs: Blobs,
        chips: Chips,
        notices: Notices,
        repository: Repository,
    ) -> None:
        self.images = Images(context, authority, blobs, chips, notices)
        self.held_packages = HeldPackages(context, self.images)
        self.deployments = Deployments(context, blobs, chips, notices)
        self.rollouts = Rollouts(context, self.deployments, notices)
        self.os_rollouts = OsRollouts(context, notices)
        self.planner = Planner(context, self.deployments, notices, repository)
        self.offers = Offers(context, chips)
        self.schedules = Schedules(context, notices)
        self.check_now = CheckNow(context, notices)
        self.bills = Bills(context, blobs, self.images)
        self.trust_stores = TrustStores(context, authority, blobs, self.images, notices)
        self.standings = Standings(context, self.offers, repository)
        notices.on_groups.append(self.offers.refresh)

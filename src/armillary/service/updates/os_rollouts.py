# SPDX-License-Identifier: Apache-2.0
"""Roll-outs of OS releases: a release of another feed goes to the groups of a feed in cohorts, and is then promoted.

Only the operator of the service makes one: it reaches devices of all catalogs, or of the one that is named. Devices
that do not update their operating system are not in it. Until it is completed the release stays in the feed it is in:
nobody else is offered it, and a roll-back leaves nothing behind.
"""

from __future__ import annotations

from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    releases as release_rows,
    rollouts as rollout_rows,
)
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.engines.records.schema.rows import OS_FEEDS, OsRelease
from armillary.errors import ConflictError
from armillary.rollout.policy import RolloutPolicy, to_json as policy_to_json
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.registry.names import catalog_or_raise
from armillary.service.registry.os_feeds import check_feed
from armillary.service.updates.os_feeds import newest_of_feeds
from armillary.service.updates.rollout_events import release_or_raise
from armillary.service.updates.staging import check_rings


class OsRollouts:
    """Starts roll-outs of OS releases; what people do with them then is what they do with any (``rollouts.py``)."""

    def __init__(self, context: Context, notices: Notices) -> None:
        self._context = context
        self._notices = notices

    def start(
        self,
        release_id: UUID,
        *,
        actor: str,
        feed: str = OS_FEEDS[0],
        catalog: str | None = None,
        policy: RolloutPolicy | None = None,
    ) -> Rollout:
        """Bring a release to the groups of a feed in cohorts; only proposed where a catalog asks for a second person.

        Raises:
            NotFoundError: no such release or catalog.
            InvalidArgumentError: no such feed, or a ring that names a device that is out of reach.
            ConflictError: the release is not published, is revoked or is in this feed, it is older than what the feed
                gives, or another roll-out decides for this chip and feed.
        """
        now, rollout_id, careful = self._context.now(), uuid4(), policy or RolloutPolicy()

        def change(connection: Connection) -> Rollout:
            check_feed(connection, feed)
            release = release_or_raise(connection, release_id)
            _check_startable(connection, release, feed, now)
            owner = None if catalog is None else catalog_or_raise(connection, catalog)
            catalogs = catalog_rows.catalogs(connection) if owner is None else (owner,)
            waits = any(catalog_rows.needs_approval(connection, one.catalog_id) for one in catalogs)
            made = Rollout(
                rollout_id=rollout_id,
                catalog_id=None if owner is None else owner.catalog_id,
                group_id=None,
                catalog="" if owner is None else owner.name,
                product="",
                group="",
                deployment_id=None,
                previous_deployment_id=None,
                policy=careful,
                state="proposed" if waits else "running",
                cohort=-1,
                cohort_started_at=None,
                reason="",
                created_at=now,
                created_by=actor,
                changed_at=now,
                release_id=release_id,
                feed=feed,
                chip=release.chip,
                version=release.version,
            )
            check_rings(connection, made)
            rollout_rows.add(connection, made)
            verb = "propose" if waits else "start"
            detail = {"release": str(release_id), "feed": feed, "catalog": catalog, "policy": policy_to_json(careful)}
            self._context.audit(connection, actor, f"rollout.{verb}", str(rollout_id), detail)
            return made

        made = self._context.records.write(change)
        self._notices.groups_changed()
        return made


def _check_startable(connection: Connection, release: OsRelease, feed: str, now: int) -> None:
    what = f"release {release.version} of {release.chip}"
    if release.withdrawn_at is not None or (release.expires_at is not None and release.expires_at <= now):
        raise ConflictError(f"{what} is revoked, or its time is over", remedy="Roll out another release.")
    if release.imported_from is not None:
        raise ConflictError(f"{what} has no packages here, only reference values", remedy="Roll out another release.")
    if release.feed == feed or release.feed == OS_FEEDS[0]:
        raise ConflictError(
            f"{what} is in feed {release.feed}: its devices are offered it already",
            remedy="Publish a release into the evaluation feed, and roll it out from there.",
        )
    living = rollout_rows.living_of_feed(connection, release.chip, feed)
    if living is not None:
        raise ConflictError(
            f"roll-out {living.rollout_id} ({living.state}) decides for {feed} on {release.chip}",
            remedy="Let it finish, roll it back or cancel it first.",
        )
    every = release_rows.every(connection)
    given = newest_of_feeds(
        every, release_rows.floors(connection), follows=release_rows.follows(connection), now=now
    ).get((feed, release.chip))
    if given is not None and release.version not in given.newer:
        raise ConflictError(
            f"{what} is older than what {feed} gives, {given.version}, or below a security floor",
            remedy="Roll out a newer release.",
        )

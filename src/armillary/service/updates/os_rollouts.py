# SPDX-License-Identifier: Apache-2.0
"""Roll-outs of OS releases: a release of another feed goes to the groups of a feed in cohorts, and is then theirs.

Only the operator of the service makes one: it reaches devices of all catalogs, or of the one that is named. Devices
that do not update their operating system are not in it. Until it is completed nobody else is offered the release. Then
one for all catalogs is promoted into the feed; one for a single catalog stays in the feed it is in, and the groups of
that catalog alone get it from then on (``rollout/ended.py``).
"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    rollouts as rollout_rows,
)
from armillary.engines.records.queries.planning.preview import RolloutPreview, previewed
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.engines.records.schema.rows import OS_FEEDS, OsRelease
from armillary.errors import ConflictError
from armillary.rollout.policy import RolloutPolicy, to_json as policy_to_json
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.registry.names import catalog_or_raise
from armillary.service.registry.os_feeds import check_feed
from armillary.service.updates.os_feeds import check_no_stand_in, systems_of
from armillary.service.updates.rollout_events import check_passes_none, reaches_at_once, release_or_raise
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
            ConflictError: the release is not published, is revoked, or devices of the feed are offered it already; it
                is older than what the feed gives; another roll-out decides for this chip and feed, or for one that
                follows it.
        """
        made = self._context.records.write(lambda c: self._start(c, release_id, actor, feed, catalog, policy))
        self._notices.groups_changed()
        return made

    def preview(
        self,
        release_id: UUID,
        *,
        feed: str = OS_FEEDS[0],
        catalog: str | None = None,
        policy: RolloutPolicy | None = None,
    ) -> RolloutPreview:
        """What :meth:`start` would do; nothing of it is kept. Raises as that does."""
        return previewed(
            self._context.records.write, lambda c: self._start(c, release_id, "preview", feed, catalog, policy)
        )

    def _start(
        self,
        connection: Connection,
        release_id: UUID,
        actor: str,
        feed: str,
        catalog: str | None,
        policy: RolloutPolicy | None,
    ) -> Rollout:
        now, rollout_id, careful = self._context.now(), uuid4(), policy or RolloutPolicy()
        check_feed(connection, feed)
        release = release_or_raise(connection, release_id)
        owner = None if catalog is None else catalog_or_raise(connection, catalog)
        _check_startable(connection, release, feed, None if owner is None else owner.catalog_id, now)
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


def _check_startable(connection: Connection, release: OsRelease, feed: str, catalog_id: UUID | None, now: int) -> None:
    what = f"release {release.version} of {release.chip}"
    if release.withdrawn_at is not None or (release.expires_at is not None and release.expires_at <= now):
        raise ConflictError(f"{what} is revoked, or its time is over", remedy="Roll out another release.")
    if release.imported_from is not None:
        raise ConflictError(f"{what} has no packages here, only reference values", remedy="Roll out another release.")
    check_no_stand_in(connection, release)
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
    _check_newer(connection, release, feed, catalog_id, now)
    check_passes_none(connection, release, feed, catalog_id, now=now)
    for other in rollout_rows.living(connection):
        if other.release_id is None or other.chip != release.chip:
            continue
        its = release_or_raise(connection, other.release_id)
        if reaches_at_once(connection, its, str(other.feed), other.catalog_id, watched=(feed, catalog_id), now=now):
            raise ConflictError(
                f"roll-out {other.rollout_id} ({other.state}) brings OS {other.version} to {other.feed}, from where "
                f"the groups of {feed} get it at once",
                remedy="Let it finish, roll it back or cancel it first.",
            )


def _check_newer(connection: Connection, release: OsRelease, feed: str, catalog_id: UUID | None, now: int) -> None:
    """Refuse what some device of the feed would not take: it has it, or something newer, already."""
    what, before = f"release {release.version} of {release.chip}", systems_of(connection, now=now)
    having = before.having_alone(release.release_id, feed)
    if catalog_id in having:
        raise ConflictError(
            f"{what} was rolled out to this catalog: its devices are offered it already",
            remedy="Name another catalog, or none for all others.",
        )
    names = {one.catalog_id: one.name for one in catalog_rows.catalogs(connection)}
    for owner, found in systems_of(connection, now=now, more=[replace(release, feed=feed)]).each(catalog_id):
        given = found.get((feed, release.chip))
        if owner not in having and (given is None or given.release_id != release.release_id):
            whom = f" to {names[owner]}" if owner in names else ""
            there = "nothing" if given is None else given.version
            raise ConflictError(
                f"{what} is older than what {feed} gives{whom}, {there}, or below a security floor",
                remedy="Roll out a newer release.",
            )

# SPDX-License-Identifier: Apache-2.0
"""What an event of a roll-out's state table does: to the roll-out, to its group's deployment, to its OS release.

People's commands (``rollouts.py``) and the planner's decisions come here; each in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import (
    images as image_rows,
    releases as release_rows,
    rollouts as rollout_rows,
)
from armillary.engines.records.queries.planning import parts, starts
from armillary.engines.records.response import kept as kept_rows
from armillary.engines.records.schema.rollout_rows import Rollout, RolloutEvent, RolloutPart
from armillary.engines.records.schema.rows import OsRelease
from armillary.engines.records.transparency import release_log
from armillary.errors import ConflictError, NotFoundError
from armillary.rollout import state
from armillary.service.context.context import Context
from armillary.service.registry.names import group_or_raise
from armillary.service.updates.deployments import Deployments
from armillary.service.updates.os_feeds import WantedOs, given_to, higher_component, systems_of


def apply_event(
    context: Context,
    deployments: Deployments,
    connection: Connection,
    rollout: Rollout,
    event: str,
    reason: str,
    actor: str,
    finding_id: UUID | None = None,
) -> None:
    """Apply an event to a roll-out in the caller's transaction; ConflictError if it is not possible in this state."""
    now = context.now()
    state.after(rollout.state, event)  # before anything else: what is not possible says so
    if event == "approve" and actor.casefold() == rollout.created_by.casefold():
        raise ConflictError(
            f"{actor} made this roll-out and cannot approve it",
            remedy="Ask a second person: whoever makes a roll-out needs somebody else's word.",
        )
    if rollout.release_id is not None:
        values = _apply_to_release(connection, rollout, event, now)
    else:
        values = _apply_to_group(context, deployments, connection, rollout, event, actor)
    _record(context, connection, rollout, event, values, reason, actor, finding_id)


def hold_of_release(context: Context, connection: Connection, release_id: UUID, *, reason: str, actor: str) -> None:
    """Hold the roll-out of an OS release, if it runs: the release was revoked."""
    rollout = rollout_rows.living_of_release(connection, release_id)
    if rollout is not None and rollout.state == "running":
        _record(context, connection, rollout, "hold", {}, reason, actor, None)


def check_undecided(connection: Connection, release: OsRelease, feed: str, *, now: int) -> None:
    """Raise ConflictError where a release that is put into a feed would go around the steps of a roll-out.

    A feed gives what is in it to every device at once, those of feeds that follow it too. So nothing is put into the
    feed of a roll-out, nor into one from where its feed's groups would be given it.
    """
    living = rollout_rows.living_of_release(connection, release.release_id)
    if living is None:
        living = rollout_rows.living_of_feed(connection, release.chip, feed)
    if living is not None:
        raise ConflictError(
            f"roll-out {living.rollout_id} ({living.state}) brings OS {living.version} to {living.feed} on "
            f"{living.chip} step by step: nothing is put into that feed meanwhile",
            remedy="Let it finish, which promotes its release; or roll it back or cancel it first.",
        )
    check_passes_none(connection, release, feed, None, now=now)


def check_passes_none(
    connection: Connection, release: OsRelease, feed: str, catalog_id: UUID | None, *, now: int
) -> None:
    """Raise ConflictError where a release in a feed, for a catalog or for all, passes over a roll-out to a follower."""
    for living in rollout_rows.living(connection):
        if living.release_id is None or living.chip != release.chip:
            continue
        watched = (str(living.feed), living.catalog_id)
        if reaches_at_once(connection, release, feed, catalog_id, watched=watched, now=now):
            raise ConflictError(
                f"roll-out {living.rollout_id} ({living.state}) brings OS {living.version} to {living.feed} on "
                f"{living.chip} step by step, and what is put into {feed} changes what the groups of {living.feed} are "
                "given at once",
                remedy="Let it finish, roll it back or cancel it first.",
            )


def reaches_at_once(
    connection: Connection,
    release: OsRelease,
    feed: str,
    catalog_id: UUID | None,
    *,
    watched: tuple[str, UUID | None],
    now: int,
) -> bool:
    """Whether a release, put into a feed for a catalog or for all, is what another feed gives then.

    That one is ``watched``, in a catalog or in all.
    """
    to, to_catalog = watched
    if to == feed or (None not in (catalog_id, to_catalog) and catalog_id != to_catalog):
        return False
    before = systems_of(connection, now=now)
    after = systems_of(connection, now=now, more=[replace(release, feed=feed)])
    key = (to, release.chip)
    return any(
        _id_of(given.get(key)) != _id_of(before.of(one).get(key)) for one, given in after.each(catalog_id or to_catalog)
    )


def _id_of(system: WantedOs | None) -> UUID | None:
    return None if system is None else system.release_id


def _record(
    context: Context,
    connection: Connection,
    rollout: Rollout,
    event: str,
    changes: Mapping[str, object],
    reason: str,
    actor: str,
    finding_id: UUID | None,
) -> None:
    """Put a roll-out into the state after an event, with further changes, and note it in its history."""
    now, after = context.now(), state.after(rollout.state, event)
    values: dict[str, object] = {"state": after, "changed_at": now, "reached_at": None, **changes}
    if event != "restored":  # why it was rolled back stays
        values["reason"] = reason
    rollout_rows.change(connection, rollout.rollout_id, values)
    line = RolloutEvent(at=now, actor=actor, event=event, reason=reason, finding_id=finding_id)
    rollout_rows.note(connection, rollout.rollout_id, line)
    detail = {"from": rollout.state, "to": after, "reason": reason}
    context.audit(connection, actor, f"rollout.{event}", str(rollout.rollout_id), detail)


def _apply_to_group(
    context: Context, deployments: Deployments, connection: Connection, rollout: Rollout, event: str, actor: str
) -> dict[str, object]:
    """What an event does to the deployments of the roll-out's groups; returns columns of the roll-out to change."""
    if rollout.group_id is None or event not in ("finish", "roll-back"):
        return {}
    now = context.now()
    if event == "finish":
        # Devices of an action keep what they got; it is not their group's own, so that no other device gets it.
        for part in rollout.parts if rollout.action_id is None else ():
            image_rows.put_in_force(connection, part.deployment_id, part.group_id, now=now)
        return {}
    values: dict[str, object] = {}
    for part in rollout.parts:
        if rollout.state == "completed":
            _check_newest(connection, rollout, part)
        if part.previous_deployment_id is None:
            # Nothing was in force before: devices that have the images must learn that none are wanted.
            empty = _put_nothing_in_force(context, deployments, connection, rollout, part, actor)
            if part.group_id == rollout.group_id:
                values["previous_deployment_id"] = empty
            else:
                parts.set_previous(connection, rollout.rollout_id, part.group_id, empty)
        elif rollout.state == "completed" and rollout.action_id is None:
            image_rows.put_in_force(connection, part.previous_deployment_id, part.group_id, now=now)
    return values


def _check_newest(connection: Connection, rollout: Rollout, part: RolloutPart) -> None:
    """Refuse to roll back a completed roll-out after which something else came: it would undo that as well."""
    group = group_or_raise(connection, rollout.catalog, part.product, part.group)
    living = rollout_rows.living_of_group(connection, part.group_id)
    if living is not None:
        raise ConflictError(
            f"roll-out {living.rollout_id} ({living.state}) decides for group {group.name}",
            remedy="Roll that one back, or cancel it first.",
        )
    is_newest = group.deployment_id == part.deployment_id
    if rollout.action_id is not None:
        is_newest = kept_rows.stands(connection, rollout.rollout_id)
    if not is_newest:
        raise ConflictError(
            f"a newer deployment is in force in group {group.name}",
            remedy="Roll out the images that you want back: armillary rollout create.",
        )


def _put_nothing_in_force(
    context: Context,
    deployments: Deployments,
    connection: Connection,
    rollout: Rollout,
    part: RolloutPart,
    actor: str,
) -> UUID:
    group = group_or_raise(connection, rollout.catalog, part.product, part.group)
    empty = deployments.prepare(connection, group, (), actor=actor, deployment_id=None, rollout_id=rollout.rollout_id)
    image_rows.put_in_force(connection, empty.deployment_id, group.group_id, now=context.now())
    return empty.deployment_id


def _apply_to_release(connection: Connection, rollout: Rollout, event: str, now: int) -> dict[str, object]:
    """What an event of a roll-out does to its OS release; returns columns of the roll-out to change.

    Raises:
        ConflictError: the release was revoked, devices that run it cannot go back (its security versions are higher
            than those of the release before), or something newer came after it.
    """
    release = release_or_raise(connection, rollout.release_id)
    if event in ("approve", "resume") and release.withdrawn_at is not None:
        raise ConflictError(
            f"OS {release.version} was revoked: {release.withdrawn_reason}",
            remedy="Roll it back, or cancel it, and roll out another release.",
        )
    if event == "finish" and rollout.catalog_id is None:
        release_rows.set_feed(connection, release.release_id, str(rollout.feed), at=now)
        return {"from_feed": release.feed}
    if event == "finish":
        said = {"catalog": str(rollout.catalog_id), "to": rollout.feed}
        release_log.of_release(connection, release_log.MOVED, release, at=now, **said)
    if event == "roll-back" and rollout.state == "completed":
        _take_back(connection, rollout, release, now)
    elif event == "roll-back":
        _check_way_back(connection, rollout, release, now)
    return {}


def _take_back(connection: Connection, rollout: Rollout, release: OsRelease, now: int) -> None:
    """Take what a completed roll-out brought from whom it was for, and follow all who run it.

    A release that it put into its feed for everybody goes back to the feed that it came from.
    """
    living = rollout_rows.living_of_feed(connection, rollout.chip, str(rollout.feed))
    if living is not None:
        raise ConflictError(
            f"roll-out {living.rollout_id} ({living.state}) decides for {rollout.feed} on {rollout.chip}",
            remedy="Roll that one back, or cancel it first.",
        )
    if release.withdrawn_at is not None:
        raise ConflictError(
            f"OS {release.version} was revoked: devices go back to the release before it already",
            remedy="Nothing: armillary device update-status says where one stands.",
        )
    given = systems_of(connection, now=now).of(rollout.only_catalog_id).get((str(rollout.feed), rollout.chip))
    if given is None or given.release_id != release.release_id:
        raise ConflictError(
            f"{rollout.feed} gives another release than OS {release.version} to {release.chip} now",
            remedy="Roll out the release that you want: armillary rollout create-os.",
        )
    follows = release_rows.follows(connection)
    if rollout.is_promoted:
        if rollout.from_feed not in follows:
            raise ConflictError(
                f"the feed {rollout.from_feed}, which OS {release.version} came from and goes back to, was deleted",
                remedy=f"Make it again: armillary feed create {rollout.from_feed}; or revoke the release.",
            )
        release_rows.set_feed(connection, release.release_id, str(rollout.from_feed), at=now)
    elif release.feed in given_to(str(rollout.feed), follows):
        raise ConflictError(
            f"OS {release.version} is in {release.feed} for all catalogs now: {rollout.catalog} cannot go back alone",
            remedy="Roll back what brought it to all, or revoke it.",
        )
    else:
        said = {"catalog": str(rollout.catalog_id), "of": rollout.feed}
        release_log.of_release(connection, release_log.TAKEN_BACK, release, at=now, **said)
    _check_way_back(connection, rollout, release, now)
    starts.add_runners(connection, rollout, now=now)


def release_or_raise(connection: Connection, release_id: UUID | None) -> OsRelease:
    """The published release of an id; NotFoundError if there is none."""
    found = next((one for one in release_rows.every(connection) if one.release_id == release_id), None)
    if found is None:
        raise NotFoundError(f"there is no published release {release_id}", remedy="List them: armillary release list.")
    return found


def _check_way_back(connection: Connection, rollout: Rollout, release: OsRelease, now: int) -> None:
    """Refuse a roll-back that devices cannot follow: a security version that was confirmed is never left again."""
    back = systems_of(connection, now=now, states={rollout.rollout_id: "rolling-back"})
    by_id = {one.release_id: one for one in back.releases}
    passed_over = back.having_alone(release.release_id, str(rollout.feed))
    for catalog_id, systems in back.each(rollout.only_catalog_id):
        if catalog_id in passed_over:
            continue
        before = systems.get((str(rollout.feed), release.chip))
        if before is None:
            raise ConflictError(
                f"{rollout.feed} gives no other release for {release.chip}",
                remedy="Publish one that devices can go to.",
            )
        one = higher_component(release, by_id[before.release_id])
        if one is not None:
            lowest = {each.image_type: each.security_version for each in by_id[before.release_id].components}
            raise ConflictError(
                f"{one.name} of OS {release.version} has security version {one.security_version}, the one before "
                f"{lowest.get(one.image_type, 0)}: devices that confirmed it do not go back",
                remedy="Publish a release with the old content and this security version, and roll that out.",
            )

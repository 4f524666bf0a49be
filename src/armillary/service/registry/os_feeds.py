# SPDX-License-Identifier: Apache-2.0
"""OS feeds: Retail and RetailEval are there; operators make further ones, each of which follows another.

The groups of a feed get its releases and those of the feeds that it follows, up to Retail. So ``Canary``, which follows
``RetailEval``, has what is evaluated and what is tried before that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.queries import releases as release_rows, rollouts as rollout_rows
from armillary.engines.records.schema.rows import OsRelease
from armillary.engines.records.schema.update_rows import OwnFeed
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.rollout.ended import PastRollout
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices

# As long as Azure Sphere's longest word for one, with room.
FEED_PATTERN: Final = "^[A-Za-z][A-Za-z0-9-]{0,15}$"  # for descriptions (JSON Schema)
FEED_NAME: Final = re.compile(FEED_PATTERN)
# What each chip gets is computed for every feed whenever something changes.
MAX_FEEDS: Final = 16


class OsFeeds:
    """Operations on OS feeds."""

    def __init__(self, context: Context, notices: Notices) -> None:
        self._context = context
        self._notices = notices

    def list(self) -> tuple[OwnFeed, ...]:
        """All feeds, the two that are there first; these were made at no time, by nobody."""

        def query(connection: Connection) -> tuple[OwnFeed, ...]:
            mine = release_rows.own_feeds(connection)
            made = {each.name for each in mine}
            built_in = [(name, to) for name, to in release_rows.follows(connection).items() if name not in made]
            there = tuple(OwnFeed(name=name, follows=to or "", created_at=0, created_by="") for name, to in built_in)
            return (*there, *mine)

        return self._context.records.read(query)

    def create(self, name: str, follows: str, *, actor: str) -> OwnFeed:
        """Make a feed whose groups get the releases of another one, too.

        Raises:
            InvalidArgumentError: the name, or there is no such feed to follow.
            ConflictError: there is a feed of this name, or there are as many as there may be.
        """
        if FEED_NAME.fullmatch(name) is None:
            raise InvalidArgumentError(
                f"feed: expected 1 to 16 letters, digits and dashes, a letter first, got {name!a:.40}",
                remedy="For example Canary.",
            )
        made = OwnFeed(name=name, follows=follows, created_at=self._context.now(), created_by=actor)

        def change(connection: Connection) -> None:
            check_feed(connection, follows)
            known = release_rows.follows(connection)
            if name.lower() in {each.lower() for each in known}:
                raise ConflictError(f"there is a feed {name}", remedy="Choose another name.")
            if len(known) >= MAX_FEEDS:
                raise ConflictError(f"there are {MAX_FEEDS} feeds", remedy="Delete one: armillary feed delete.")
            release_rows.add_feed(connection, made)
            self._context.audit(connection, actor, "os-feed.create", name, {"follows": follows})

        self._context.records.write(change)
        self._notices.groups_changed()
        return made

    def delete(self, name: str, *, actor: str) -> None:
        """Delete a feed that operators made.

        Raises:
            NotFoundError: they made none of this name.
            ConflictError: a device group has it, a release that is not revoked is in it, a feed follows it, or a
                roll-out goes to it, or would take its release back to it.
        """

        def change(connection: Connection) -> None:
            if name not in {each.name for each in release_rows.own_feeds(connection)}:
                raise NotFoundError(
                    f"there is no feed {name!a:.40} that somebody made", remedy="List them: armillary feed list."
                )
            _refuse_used(connection, name)
            release_rows.remove_feed(connection, name)
            self._context.audit(connection, actor, "os-feed.delete", name, {})

        self._context.records.write(change)
        self._notices.groups_changed()


def check_feed(connection: Connection, feed: str) -> None:
    """Raise InvalidArgumentError for a feed that there is not."""
    known = tuple(release_rows.follows(connection))
    if feed not in known:
        raise InvalidArgumentError(
            f"feed: expected {', '.join(known[:-1])} or {known[-1]}, got {feed!a:.40}", remedy="Use one of the feeds."
        )


def _refuse_used(connection: Connection, name: str) -> None:
    groups, releases = release_rows.feed_used_by(connection, name)
    if groups:
        raise ConflictError(f"{groups} device groups have the feed {name}", remedy="Give them another feed first.")
    if releases:
        raise ConflictError(f"{releases} releases are in the feed {name}", remedy="Promote or revoke them first.")
    followers = [each.name for each in release_rows.own_feeds(connection) if each.follows == name]
    if followers:
        raise ConflictError(f"the feed {followers[0]} follows {name}", remedy="Delete that one first.")
    if any(rollout.feed == name for rollout in rollout_rows.living(connection)):
        raise ConflictError(f"a roll-out goes to the feed {name}", remedy="Let it finish, or cancel it first.")
    every = release_rows.every(connection)
    for one in rollout_rows.past_of_systems(connection):
        if one.state == "completed" and one.from_feed == name and _is_newest(every, one):
            raise ConflictError(
                f"roll-out {one.rollout_id} to {one.feed} would take its release back to the feed {name}",
                remedy=f"Delete it once something newer is in {one.feed}.",
            )


def _is_newest(every: Sequence[OsRelease], past: PastRollout) -> bool:
    """Whether the release of a roll-out is the newest of its chip in the roll-out's feed: it can be rolled back."""
    mine = next((one for one in every if one.release_id == past.release_id), None)
    there = [one for one in every if mine is not None and (one.chip, one.feed) == (mine.chip, past.feed)]
    return mine in [one for one in there if one.withdrawn_at is None][-1:]

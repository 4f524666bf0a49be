# SPDX-License-Identifier: Apache-2.0
"""OS feeds: the two that are there, and those that operators made; what uses one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from sqlalchemy import Connection, delete, func, insert, select

from armillary.engines.records.queries import pages
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import OS_FEEDS, from_row, to_row
from armillary.engines.records.schema.update_rows import OwnFeed

_feed, _group, _release = schema.os_feed, schema.device_group, schema.os_release


def add(connection: Connection, feed: OwnFeed) -> None:
    """Record a feed."""
    connection.execute(insert(_feed).values(to_row(_feed, feed)))


def remove(connection: Connection, name: str) -> None:
    """Delete a feed."""
    connection.execute(delete(_feed).where(_feed.c.name == name))


def own(connection: Connection) -> tuple[OwnFeed, ...]:
    """The feeds that operators made, oldest first."""
    query = select(_feed).order_by(_feed.c.created_at, _feed.c.name)
    return pages.every(connection, query, partial(from_row, OwnFeed))


def follows(connection: Connection) -> Mapping[str, str | None]:
    """Every feed -> the feed whose releases its groups get as well; None for the retail feed, which follows none."""
    built_in: dict[str, str | None] = {OS_FEEDS[0]: None, OS_FEEDS[1]: OS_FEEDS[0]}
    return built_in | {each.name: each.follows for each in own(connection)}


def used_by(connection: Connection, name: str) -> tuple[int, int]:
    """How many device groups have a feed, and how many releases in it are not withdrawn."""
    groups = select(func.count()).select_from(_group).where(_group.c.os_feed == name)
    releases = select(func.count()).select_from(_release).where(_release.c.feed == name)
    return (
        int(connection.execute(groups).scalar_one()),
        int(connection.execute(releases.where(_release.c.withdrawn_at.is_(None))).scalar_one()),
    )

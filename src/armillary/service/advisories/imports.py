# SPDX-License-Identifier: Apache-2.0
"""Imports a feed bundle: checks who signed it and how old it is, then writes its records in steps.

1. A trusted key signed the statement, and may sign this feed.
2. The feed has the kind of before; its time is after what is held and not in the future.
3. What an import that was cut short has left is taken back.
4. Records are read in steps of 200 and written 50 in a commit, so that check-ins wait for few of them. Those that are
   as they were cost a comparison.
5. Records that the feed no longer has are ended.
6. One commit puts the edition in force, with its audit line. Until then nobody sees any of it.

The caller sees to it that one import runs at a time, and that bills of materials are not read meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from armillary.engines.records.advisories import components as component_rows, feeds as feed_rows
from armillary.engines.records.schema.advisory_rows import EPSS, KEV, OSV, Feed, FeedEdition, FeedKey
from armillary.errors import ArmillaryError, ConflictError, InvalidArgumentError, NotFoundError, WireError
from armillary.service.advisories import exploited, vex
from armillary.service.advisories.keys import FeedKeys, loaded
from armillary.service.advisories.matching import deflated, fixes_of, matched, packages_of
from armillary.service.advisories.weight import weight_of
from armillary.service.context.context import Context
from armillary.wire.advisory import bundle as bundles
from armillary.wire.advisory.bundle import BundleStatement
from armillary.wire.advisory.osv import Advisory, read_advisory

# Records that are read and compared at once, and those of one commit: each brings its pairs with components.
STEP: Final = 200
COMMIT: Final = 50
# How far the clock of who packed a bundle may be ahead of ours.
CLOCK_SKEW_S: Final = 300
# A feed is stale when it is older than this, unless an administrator says otherwise: all of the sources that are known
# change daily.
MAX_AGE_S: Final = {OSV: 7 * 86_400, KEV: 7 * 86_400, EPSS: 7 * 86_400}
VEX_MAX_AGE_S: Final = 30 * 86_400
MAX_FEEDS: Final = 200
_PIECE: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class OpenedBundle:
    """A bundle whose signature and time were found good; its records are checked as they are read."""

    path: Path
    offset: int
    statement: BundleStatement
    key: FeedKey


class Imports:
    """Imports of feeds."""

    def __init__(self, context: Context, keys: FeedKeys, stopping: threading.Event) -> None:
        self._context = context
        self._keys = keys
        self._stopping = stopping

    def open(self, path: Path) -> OpenedBundle:
        """Check a bundle's signature, and that its feed may be replaced by it.

        Raises:
            WireError, SignatureError: it is no bundle, or no trusted key signed it.
            ConflictError: it is older than what is held, or as old, or of another kind.
            InvalidArgumentError: it is from the future.
        """
        trusted = self._keys.in_force()
        with path.open("rb") as file:
            head = file.read(bundles.HEAD_BYTES)
            unverified = bundles.parse_statement(file.read(bundles.statement_size(head)))
        statement, place = bundles.verify(unverified, [loaded(each) for each in trusted])
        opened = OpenedBundle(path, unverified.offset, statement, trusted[place])
        self._context.records.read(lambda c: self._check(c, opened))
        return opened

    def _check(self, connection: Connection, opened: OpenedBundle) -> None:
        statement, now = opened.statement, self._context.now()
        if opened.key.feed not in ("", statement.feed):
            raise ConflictError(
                f"key {opened.key.key_id[:16]} ({opened.key.name}) signs {opened.key.feed} only, not {statement.feed}",
                remedy="Sign it with the key of that feed.",
            )
        if statement.as_of > now + CLOCK_SKEW_S:
            raise InvalidArgumentError(
                f"feed {statement.feed}: as of {statement.as_of}, which is {statement.as_of - now} seconds from now",
                remedy="Set the clock of the machine that packs feeds, and pack it again.",
            )
        held = feed_rows.feed(connection, statement.feed)
        if held is None:
            if len(feed_rows.feeds(connection)) >= MAX_FEEDS:
                raise ConflictError(f"there are {MAX_FEEDS} feeds", remedy="Pack several sources into one feed.")
            return
        if held.kind != statement.kind:
            raise ConflictError(
                f"feed {held.name} is of kind {held.kind}, the bundle is of {statement.kind}",
                remedy="Pack it under another name.",
            )
        # One that was imported while our clock was ahead, and has a time of the future, is no measure of anything.
        times = [each.as_of for each in feed_rows.editions(connection, held.name) if each.whole_at is not None]
        newest = max((each for each in times if each <= now + CLOCK_SKEW_S), default=0)
        if statement.as_of <= newest:
            raise ConflictError(
                f"feed {held.name}: the bundle is as of {statement.as_of}, and that of {newest} is held",
                remedy="Fetch the feed from its source again and pack it: an older one would hide what is known.",
            )

    def run(self, opened: OpenedBundle, *, actor: str) -> FeedEdition:
        """Import an opened bundle; the edition that is in force then.

        Raises:
            WireError: the records are not what was signed; nothing of them is seen.
            ConflictError: the feed was imported meanwhile.
        """
        self.undo_cut_short()
        made = self._context.records.write(lambda c: self._begin(c, opened, actor))
        try:
            refused = self._take(opened, made)
            return self._context.records.write(lambda c: self._complete(c, opened, made, refused, actor))
        except ArmillaryError:
            if not self._stopping.is_set():  # else the next import does it
                self.undo_cut_short()
            raise

    def undo_cut_short(self) -> None:
        """Take back what imports have left that did not come to their end."""
        records = self._context.records
        for name, edition in records.read(feed_rows.cut_short):
            while records.write(partial(feed_rows.undo_records, name=name, edition=edition, limit=STEP)):
                pass
            records.write(partial(feed_rows.remove_edition, name=name, edition=edition))

    def set_max_age(self, name: str, max_age_s: int, *, actor: str) -> Feed:
        """Say after how many seconds a feed is stale; NotFoundError if there is none of this name."""

        def change(connection: Connection) -> Feed:
            if feed_rows.feed(connection, name) is None:
                raise no_such_feed(name)
            feed_rows.set_max_age(connection, name, max_age_s)
            self._context.audit(connection, actor, "advisory-feed.set-max-age", name, {"max_age_s": max_age_s})
            found = feed_rows.feed(connection, name)
            if found is None:
                raise AssertionError("a feed that was changed is not there")
            return found

        return self._context.records.write(change)

    def _begin(self, connection: Connection, opened: OpenedBundle, actor: str) -> FeedEdition:
        self._check(connection, opened)
        said = opened.statement
        if feed_rows.feed(connection, said.feed) is None:
            feed_rows.add_feed(connection, said.feed, said.kind, max_age_s=MAX_AGE_S.get(said.kind, VEX_MAX_AGE_S))
        before = feed_rows.editions(connection, said.feed)
        made = FeedEdition(
            feed=said.feed,
            edition=before[0].edition + 1 if before else 1,
            source_url=said.source_url,
            as_of=said.as_of,
            sha256=said.sha256,
            records=said.records,
            refused=0,
            ecosystems=said.ecosystems,
            signer=opened.key.key_id,
            begun_at=self._context.now(),
            whole_at=None,
            imported_by=actor,
        )
        feed_rows.begin_edition(connection, made)
        return made

    def _take(self, opened: OpenedBundle, made: FeedEdition) -> int:
        """Write the records of a bundle; how many could not be read."""
        kinds: dict[str, Callable[[Iterator[bytes], FeedEdition], int]] = {
            OSV: self._take_advisories,
            KEV: partial(exploited.take_catalogue, self._context),
            EPSS: partial(exploited.take_scores, self._context),
        }
        take = kinds.get(opened.statement.kind, partial(vex.take_documents, self._context, opened.statement.kind))
        return take(self._until_stopped(opened), made)

    def _until_stopped(self, opened: OpenedBundle) -> Iterator[bytes]:
        for record in records_of(opened):
            if self._stopping.is_set():
                raise ConflictError(
                    f"feed {opened.statement.feed}: the service stops", remedy="Import it again when it runs."
                )
            yield record

    def _take_advisories(self, lines: Iterator[bytes], made: FeedEdition) -> int:
        refused, seen = 0, set[str]()
        while batch := list(islice(lines, STEP)):
            found: dict[str, tuple[Advisory, bytes]] = {}
            for line in batch:
                try:
                    advisory = read_advisory(line)
                except WireError:
                    refused += 1
                    continue
                if advisory.id in seen:
                    refused += 1  # a second record of one name: which of them holds nobody can say
                    continue
                seen.add(advisory.id)
                found[advisory.id] = (advisory, line)
            self._write(made, found)
        self._end_left_out(made, seen)
        return refused

    def _write(self, made: FeedEdition, found: dict[str, tuple[Advisory, bytes]]) -> None:
        """Write those of some records that are not as they were."""
        records = self._context.records
        held = records.read(lambda c: feed_rows.open_digests(c, made.feed, list(found), made.edition))
        digests = {name: sha256(line).digest() for name, (_, line) in found.items()}
        fresh = [each for name, (each, _) in found.items() if name not in held or held[name][1] != digests[name]]
        if not fresh:
            return
        about = {each.id: packages_of(each) for each in fresh}
        components = records.read(lambda c: component_rows.of_packages(c, set().union(*about.values())))
        pairs = matched(fresh, components)
        rows = [_row(made, each, digests[each.id], found[each.id][1]) for each in fresh]

        def change(connection: Connection, start: int) -> None:
            some = fresh[start : start + COMMIT]
            feed_rows.end_versions(connection, [held[each.id][0] for each in some if each.id in held], made.edition)
            for each, row in zip(some, rows[start : start + COMMIT], strict=True):
                feed_rows.add_version(
                    connection, row, aliases=each.names[1:], packages=about[each.id], affected=pairs.get(each.id, ())
                )

        for start in range(0, len(fresh), COMMIT):
            records.write(partial(change, start=start))

    def _end_left_out(self, made: FeedEdition, seen: set[str]) -> None:
        """End the records of before that the feed no longer has."""
        records, after = self._context.records, 0
        while True:
            left = partial(feed_rows.open_ids, name=made.feed, before=made.edition, after=after, limit=STEP * 10)
            some = records.read(left)
            if not some:
                return
            gone = [number for number, name in some if name not in seen]
            if gone:
                records.write(partial(feed_rows.end_versions, version_ids=gone, edition=made.edition))
            after = some[-1][0]

    def _complete(
        self, connection: Connection, opened: OpenedBundle, made: FeedEdition, refused: int, actor: str
    ) -> FeedEdition:
        now = self._context.now()
        feed_rows.complete_edition(connection, made.feed, made.edition, refused=refused, now=now)
        if opened.statement.kind == KEV:
            feed_rows.end_known_exploited(connection, made.edition)
        detail = {
            "edition": made.edition,
            "as_of": made.as_of,
            "sha256": made.sha256.hex(),
            "records": made.records,
            "refused": refused,
            "source": made.source_url,
            "key": made.signer,
        }
        self._context.audit(connection, actor, "advisory-feed.import", made.feed, detail)
        return feed_rows.editions(connection, made.feed)[0]


def records_of(opened: OpenedBundle) -> Iterator[bytes]:
    """The records of a bundle; WireError at their end where they are not what was signed."""
    return bundles.lines(_pieces(opened.path, opened.offset), opened.statement)


def _pieces(path: Path, offset: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(offset)
        while piece := file.read(_PIECE):
            yield piece


def _row(made: FeedEdition, advisory: Advisory, digest: bytes, line: bytes) -> dict[str, Any]:
    weight = weight_of(advisory)
    return {
        "feed": made.feed,
        "advisory_id": advisory.id,
        "digest": digest,
        "published_at": advisory.published,
        "modified_at": advisory.modified,
        "withdrawn_at": advisory.withdrawn,
        "summary": advisory.summary[:1024],
        "severity": weight.severity,
        "cvss": weight.cvss,
        "cvss_vector": weight.vector,
        "fixed": fixes_of(advisory),
        "from_edition": made.edition,
        "document": deflated(line),
    }


def no_such_feed(name: str) -> NotFoundError:
    """The error for a feed that was never imported."""
    return NotFoundError(f"no feed {name!r:.80}", remedy="List them: armillary advisory-feed list.")

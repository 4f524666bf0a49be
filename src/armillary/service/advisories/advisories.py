# SPDX-License-Identifier: Apache-2.0
"""Advisories as the API, the command line and the loops of the service hold them.

Light at rest: what reads feeds and bills of materials, and the libraries that order versions, are loaded when the first
feed comes. A service without feeds keeps who runs what, and nothing else of this.
"""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.advisories import presence
from armillary.service.advisories.running import Running
from armillary.service.advisories.sets import Sets
from armillary.service.advisories.uploads import BundleUploads, ImportThread
from armillary.service.authority.key_store import KeyStore
from armillary.service.context.blobs import Blobs
from armillary.service.context.context import Context
from armillary.service.watch.watch import Watch

if TYPE_CHECKING:
    from armillary.engines.records.schema.advisory_rows import Feed, FeedEdition
    from armillary.service.advisories.announcing import Announcements, Staleness
    from armillary.service.advisories.answers import Answers
    from armillary.service.advisories.imports import Imports
    from armillary.service.advisories.keys import FeedKeys
    from armillary.service.advisories.own_statements import OwnStatements
    from armillary.service.advisories.reading import BillReading

# Devices change what they run all the time; a new feed or bill of materials is announced at once.
ANNOUNCE_EVERY_S: Final = 60
# Bills of materials are read for so long in a look; an import reads all of them.
BILLS_LOOK_S: Final = 1.0
# Feeds get stale after days.
STALE_EVERY_S: Final = 300


class Advisories:
    """Operations on feeds and advisories. From any thread."""

    def __init__(self, context: Context, blobs: Blobs, watch: Watch, keys: KeyStore) -> None:
        self._context = context
        self._key_store = keys
        self._blobs = blobs
        self._watch = watch
        self.running = Running(context)
        self._sets = Sets()
        self._working = threading.Lock()  # one import, or one reading of bills
        self._uploads: BundleUploads | None = None
        self._has_feeds = context.records.read(presence.has_feed)
        self._is_importing = False
        self.importing = ImportThread()
        self._stopping = threading.Event()
        self._announced_at = 0
        self._is_announcement_due = self._has_feeds
        self._announcements: Announcements | None = None
        self._staleness: Staleness | None = None
        self._statements: OwnStatements | None = None
        self._bills: BillReading | None = None
        self._aged_at = 0

    # -- parts, loaded when they are asked for ----------------------------------------------------------------------

    @property
    def keys(self) -> FeedKeys:
        """Whose signature makes a bundle a feed's."""
        from armillary.service.advisories.keys import FeedKeys  # noqa: PLC0415 - as the class says

        return FeedKeys(self._context)

    @property
    def answers(self) -> Answers:
        """What is asked about advisories."""
        from armillary.service.advisories.answers import Answers  # noqa: PLC0415 - as the class says

        return Answers(self._context, self._sets, self.running, self.statements)

    @property
    def statements(self) -> OwnStatements:
        """What operators say of advisories themselves."""
        if self._statements is None:
            from armillary.service.advisories.own_statements import OwnStatements  # noqa: PLC0415 - as the class says

            self._statements = OwnStatements(self._context, self._key_store)
        return self._statements

    @property
    def uploads(self) -> BundleUploads:
        """Bundles on their way in."""
        if self._uploads is None:
            self._uploads = BundleUploads(self._context.folder.path / "feed-bundles", self._context.clock)
            self._uploads.remove_all()
        return self._uploads

    def _imports(self) -> Imports:
        from armillary.service.advisories.imports import Imports  # noqa: PLC0415 - as the class says

        return Imports(self._context, self.keys, self._stopping)

    # -- feeds ------------------------------------------------------------------------------------------------------

    def feeds(self) -> tuple[Feed, ...]:
        """All feeds, by name."""
        if not self._has_feeds:
            return ()
        from armillary.engines.records.advisories import feeds as feed_rows  # noqa: PLC0415 - as the class says

        return self._context.records.read(feed_rows.feeds)

    def editions(self, name: str) -> tuple[FeedEdition, ...]:
        """The imports of a feed, the newest first; NotFoundError if there is none of this name."""
        from armillary.engines.records.advisories import feeds as feed_rows  # noqa: PLC0415 - as the class says

        def query(connection: Connection) -> tuple[FeedEdition, ...]:
            if feed_rows.feed(connection, name) is None:
                from armillary.service.advisories.imports import no_such_feed  # noqa: PLC0415 - as the class says

                raise no_such_feed(name)
            return feed_rows.editions(connection, name)

        return self._context.records.read(query)

    def set_max_age(self, name: str, max_age_s: int, *, actor: str) -> Feed:
        """Say after how many seconds a feed is stale; NotFoundError if there is none of this name."""
        return self._imports().set_max_age(name, max_age_s, actor=actor)

    def import_bundle(self, path: Path, *, actor: str) -> FeedEdition:
        """Import a bundle, and hold what images are made of against it; as :meth:`Imports.open` and ``run`` raise.

        Findings of what is grave in it are made by the next look.
        """
        imports = self._imports()
        opened = imports.open(path)
        with self._working:
            self._is_importing = True
            try:
                made = imports.run(opened, actor=actor)
                self._has_feeds = True
                self._read_bills()
            finally:
                self._is_importing = False
        self._is_announcement_due = True  # by the next look: who is affected can be asked now
        return made

    def begin_import(self, upload_id: UUID, path: Path, *, actor: str) -> dict[str, Any]:
        """Check an uploaded bundle, and import it in a thread of its own; what its statement says.

        Raises:
            ConflictError: another import runs.
            WireError, ConflictError, InvalidArgumentError: as :meth:`Imports.open`; the upload has ended.
        """
        try:
            self.importing.check_idle()
            statement = self._imports().open(path).statement
        except BaseException:  # whatever it was, then raised on: the file is of no use
            self.uploads.end(upload_id)
            raise
        self.importing.begin(partial(self.import_bundle, path, actor=actor), partial(self.uploads.end, upload_id))
        return {"feed": statement.feed, "kind": statement.kind, "as_of": statement.as_of, "records": statement.records}

    # -- loops ------------------------------------------------------------------------------------------------------

    def look(self) -> bool:
        """Keep who runs what true, read bills of materials that came, and make findings of what is grave.

        Takes a second or two; returns whether there is more to do at once.
        """
        changed = self.running.look()
        if not self._has_feeds or self._is_importing:
            return not self.running.is_whole  # an import reads bills itself
        with self._working:
            read = self._read_bills(BILLS_LOOK_S)
        now = self._context.now()
        if not 0 <= now - self._aged_at < STALE_EVERY_S:
            self._aged_at = now
            self._look_at_ages()
        if self._is_announcement_due or read or (changed and not 0 <= now - self._announced_at < ANNOUNCE_EVERY_S):
            self._announce()
        return not self.running.is_whole or self._reading().is_due()

    def prune(self) -> None:
        """Forget what is too old to be asked for; daily."""
        self.running.prune()
        if self._has_feeds:
            self._reading().tidy()

    def close(self) -> None:
        """Stop an import that is running: what it wrote is seen by nobody, and taken back at the next import."""
        self._stopping.set()
        self.importing.join()
        if self._uploads is not None:
            self._uploads.remove_all()

    def _reading(self) -> BillReading:
        if self._bills is None:
            from armillary.service.advisories.reading import BillReading  # noqa: PLC0415 - as the class says

            self._bills = BillReading(self._context, self._blobs)
        return self._bills

    def _read_bills(self, within_s: float | None = None) -> int:
        from armillary.engines.records.advisories import components  # noqa: PLC0415 - as the class says

        if self._context.records.read(components.unread_bill) is None:
            return 0
        return self._reading().run(within_s)

    def _look_at_ages(self) -> None:
        if self._staleness is None:
            from armillary.service.advisories.announcing import Staleness  # noqa: PLC0415 - as the class says

            self._staleness = Staleness(self._context, self._watch)
        self._staleness.look(self.feeds())

    def _announce(self) -> None:
        self._is_announcement_due = False
        self._announced_at = self._context.now()
        if self._announcements is None:
            from armillary.service.advisories.announcing import Announcements  # noqa: PLC0415 - as the class says

            self._announcements = Announcements(self._context, self._watch)
        self._announcements.look(self.answers)

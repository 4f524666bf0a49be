# SPDX-License-Identifier: Apache-2.0
"""What people do with notification channels: make them, look at them, test, retry and delete them.

A channel of a catalog hears what is of that catalog, one of the whole service everything. Address and secret of a
channel are sealed in the records, and shown to nobody again.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.outbound.attempts import NeverError, NotNowError
from armillary.engines.records.notifications import channels as channel_rows, deliveries as delivery_rows, removal
from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.engines.records.schema.rows import Page
from armillary.engines.records.schema.security.notification_rows import Channel, ChannelStatus, Delivery
from armillary.engines.signer.sealed import Sealer
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, PermissionDeniedError
from armillary.identity.operator import Operator
from armillary.service.context.context import Context
from armillary.service.context.paging import bounded, number_after
from armillary.service.notifications.options import ChannelOptions, read_options
from armillary.service.notifications.targets import Targets, Told
from armillary.service.registry.names import catalog_or_raise
from armillary.wire.device.finding import KINDS as FINDING_KINDS, SEVERITIES
from armillary.wire.notification.event import TOPICS, Event
from armillary.wire.text.given_text import check_given_name

# Of one catalog, or of the service: an attempt of each may be under way for half a minute.
MAX_CHANNELS: Final = 20
MAX_NAME_CHARACTERS: Final = 64
# Tests at once: each holds a thread of the API for as long as the target takes.
MAX_TESTS: Final = 2
FILE_KIND: Final = "ocsf-file"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelForm:
    """What a channel is to be; no topics are findings and actions, no kinds of findings all of them."""

    name: str
    kind: str
    options: Mapping[str, Any]
    secret: str | None = None
    topics: Sequence[str] = ()
    finding_kinds: Sequence[str] = ()
    min_severity: str = "info"


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """What came back of a test."""

    ok: bool
    said: str
    seconds: float


class Channels:
    """Operations on channels; ``catalog`` is the name of the one whose channels are meant.

    Raises NotFoundError for a channel that is not there, or not of the catalog.
    """

    def __init__(self, context: Context, sealer: Callable[[], Sealer], targets: Targets) -> None:
        self._context = context
        self._sealer = sealer
        self.targets = targets
        self._tests = threading.BoundedSemaphore(MAX_TESTS)
        self.on_work: list[Callable[[], None]] = []  # called after a change that gives the sender something to do
        self.on_choice: list[Callable[[], None]] = []  # called after a change of what channels there are or choose

    def list(self, catalog: str | None) -> tuple[Channel, ...]:
        """The channels of a catalog; with None all."""

        def query(connection: Connection) -> tuple[Channel, ...]:
            if catalog is None:
                return channel_rows.every_one(connection)
            return channel_rows.every_of(connection, catalog_or_raise(connection, catalog).catalog_id)

        return self._context.records.read(query)

    def get(self, channel_id: UUID, catalog: str | None) -> Channel:
        """A channel."""
        return self._context.records.read(lambda c: _channel_or_raise(c, channel_id, catalog))

    def create(self, form: ChannelForm, catalog: str | None, *, operator: Operator) -> Channel:
        """Make a channel of a catalog, or with None of the whole service.

        Raises:
            InvalidArgumentError: the form is wrong, or its target may not be called.
            PermissionDeniedError: a file on the service's disk is for operators of the whole service.
            ConflictError: there is one of this name, or there are too many.
        """
        check_given_name(form.name[: MAX_NAME_CHARACTERS + 1], "name")
        if len(form.name) > MAX_NAME_CHARACTERS:
            raise InvalidArgumentError(f"name: expected at most {MAX_NAME_CHARACTERS} characters", remedy="Shorten it.")
        _check_choice(form.topics, form.finding_kinds, form.min_severity)
        if form.kind == FILE_KIND and operator.catalog is not None:
            raise PermissionDeniedError(
                "files on the service's disk are written for operators of the whole service only",
                remedy="Use a webhook, or export: armillary finding export --format ocsf.",
            )
        options = read_options(form.kind, form.options, form.secret, self.targets.hosts)

        def change(connection: Connection) -> Channel:
            owner = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
            if channel_rows.named(connection, owner, form.name) is not None:
                raise ConflictError(
                    f"there is a channel {form.name!a:.70}", remedy="Choose another name, or delete it."
                )
            if len(channel_rows.every_of(connection, owner)) >= MAX_CHANNELS:
                raise ConflictError(f"there are {MAX_CHANNELS} channels", remedy="Delete one that is not used.")
            made = _made(form, options, owner, now=self._context.now(), by=operator.name)
            kept = channel_rows.add(connection, made, self._sealed(made.channel_id, options.hidden))
            detail = {"name": made.name, "kind": made.kind, "catalog": catalog, **made.options}
            self._context.audit(connection, operator.name, "notification-channel.create", str(made.channel_id), detail)
            return kept

        made = self._context.records.write(change)
        self._chosen()
        self._work()
        return made

    def choose(
        self,
        channel_id: UUID,
        catalog: str | None,
        *,
        topics: Sequence[str] | None,
        finding_kinds: Sequence[str] | None,
        min_severity: str | None,
        operator: Operator,
    ) -> Channel:
        """Change what a channel is told from now on; None leaves as it is, empty lists are as in a form.

        Raises:
            InvalidArgumentError: a word that there is not, or nothing to change.
        """
        wanted = {"topics": topics, "finding_kinds": finding_kinds, "min_severity": min_severity}
        given: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
        if not given:
            raise InvalidArgumentError(
                "nothing to change: expected topics, finding_kinds or min_severity", remedy="Give one of them."
            )

        def change(connection: Connection) -> Channel:
            found = _channel_or_raise(connection, channel_id, catalog)
            choice = replace(found.choice, **given)
            _check_choice(choice.topics, choice.finding_kinds, choice.min_severity)
            channel_rows.choose(connection, found.number, choice)
            detail = {"name": found.name, **given}
            self._context.audit(connection, operator.name, "notification-channel.change", str(channel_id), detail)
            return _channel_or_raise(connection, channel_id, catalog)

        changed = self._context.records.write(change)
        self._chosen()
        return changed

    def delete(self, channel_id: UUID, catalog: str | None, *, operator: Operator) -> None:
        """Delete a channel, with all that it has still to be told."""

        def change(connection: Connection) -> None:
            found = _channel_or_raise(connection, channel_id, catalog)
            removal.remove(connection, found.number)
            detail = {"name": found.name, "waiting": found.status.waiting, "given_up": found.status.given_up}
            self._context.audit(connection, operator.name, "notification-channel.delete", str(channel_id), detail)

        self._context.records.write(change)
        self._chosen()

    def given_up(self, channel_id: UUID, catalog: str | None, *, limit: int, after: str | None) -> Page[Delivery]:
        """What a channel was not told, newest first, as far as it is kept."""
        before = number_after(after)

        def query(connection: Connection) -> Page[Delivery]:
            found = _channel_or_raise(connection, channel_id, catalog)
            return delivery_rows.page_given_up(connection, found.number, limit=bounded(limit), before=before)

        return self._context.records.read(query)

    def retry(self, channel_id: UUID, catalog: str | None, *, operator: Operator) -> int:
        """Have a channel be told again what was given up; how many events that is."""

        def change(connection: Connection) -> int:
            found = _channel_or_raise(connection, channel_id, catalog)
            count = delivery_rows.retry(connection, found.number, now_ms=self._context.now() * 1000)
            detail = {"name": found.name, "events": count}
            self._context.audit(connection, operator.name, "notification-channel.retry", str(channel_id), detail)
            return count

        count = self._context.records.write(change)
        self._work()
        return count

    def test(self, channel_id: UUID, catalog: str | None, *, operator: Operator) -> TestOutcome:
        """Tell a channel of a test, past what waits for it, and say what came back. Blocks for as long as it takes.

        Raises:
            ConflictError: other tests are under way.
        """
        channel = self.get(channel_id, catalog)
        if not self._tests.acquire(blocking=False):
            raise ConflictError(f"{MAX_TESTS} tests are under way", remedy="Try again when they are over.")
        began = time.monotonic()
        try:
            said, ok = self.targets.tell(channel, self.hidden_of(channel), [self._test_of(channel, operator)]), True
        except (NotNowError, NeverError) as error:
            said, ok = str(error), False
        finally:
            self._tests.release()
        outcome = TestOutcome(ok, said, round(time.monotonic() - began, 3))
        detail = {"name": channel.name, "ok": ok, "said": said}
        self._context.records.write(
            lambda c: self._context.audit(c, operator.name, "notification-channel.test", str(channel_id), detail)
        )
        return outcome

    def catalog_names(self, channels: Sequence[Channel]) -> Mapping[UUID | None, str]:
        """Names of the catalogs that channels are of, by id."""
        wanted = {each.catalog_id for each in channels if each.catalog_id is not None}

        def query(connection: Connection) -> dict[UUID | None, str]:
            found = (catalog_rows.catalog_by_id(connection, each) for each in wanted)
            return {each.catalog_id: each.name for each in found if each is not None}

        return self._context.records.read(query) if wanted else {}

    def hidden_of(self, channel: Channel) -> Mapping[str, str]:
        """Address and secret of a channel; DataFolderError if what is sealed does not open."""
        sealed = self._context.records.read(lambda c: channel_rows.secret_of(c, channel.number))
        if sealed is None:
            return {}
        found: dict[str, str] = json.loads(self._sealer().open(sealed, _purpose(channel.channel_id)))
        return found

    def _sealed(self, channel_id: UUID, hidden: Mapping[str, str]) -> bytes | None:
        if not hidden:
            return None
        return self._sealer().seal(json.dumps(dict(hidden)).encode(), _purpose(channel_id))

    def _test_of(self, channel: Channel, operator: Operator) -> Told:
        event = Event(
            event_id=uuid4(),
            kind="channel.test",
            severity="info",
            at=self._context.now(),
            title=f"A test of the notification channel {channel.name}",
            text=f"{operator.name} asked for it. Nothing has happened.",
            subject=str(channel.channel_id),
        )
        owner, catalog_id = None, channel.catalog_id
        if catalog_id is not None:
            found = self._context.records.read(lambda c: catalog_rows.catalog_by_id(c, catalog_id))
            owner = None if found is None else (found.catalog_id, found.name)
        return Told(event, 0, 1, owner)

    def _chosen(self) -> None:
        for call in self.on_choice:
            call()

    def _work(self) -> None:
        for call in self.on_work:
            call()


def _made(form: ChannelForm, options: ChannelOptions, owner: UUID | None, *, now: int, by: str) -> Channel:
    return Channel(
        number=0,
        channel_id=uuid4(),
        catalog_id=owner,
        name=form.name,
        kind=form.kind,
        options=options.shown,
        topics=tuple(form.topics),
        finding_kinds=tuple(form.finding_kinds),
        min_severity=form.min_severity,
        created_at=now,
        created_by=by,
        status=ChannelStatus(),
    )


def _check_choice(topics: Sequence[str], finding_kinds: Sequence[str], min_severity: str) -> None:
    _check_words("topics", topics, TOPICS)
    _check_words("finding_kinds", finding_kinds, tuple(FINDING_KINDS))
    _check_words("min_severity", [min_severity], SEVERITIES)


def _check_words(name: str, given: Sequence[str], known: Sequence[str]) -> None:
    for each in given:
        if each not in known:
            raise InvalidArgumentError(
                f"{name}: expected {', '.join(known)}, got {each!a:.40}", remedy="Use these words."
            )


def _channel_or_raise(connection: Connection, channel_id: UUID, catalog: str | None) -> Channel:
    found = channel_rows.one(connection, channel_id)
    is_hidden = (
        found is not None
        and catalog is not None
        and found.catalog_id != catalog_or_raise(connection, catalog).catalog_id
    )
    if found is None or is_hidden:
        raise NotFoundError(
            f"notification channel {channel_id} does not exist",
            remedy="List them: armillary notification-channel list.",
        )
    return found


def _purpose(channel_id: UUID) -> str:
    return f"notification-channel/{channel_id}"

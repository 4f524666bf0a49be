# SPDX-License-Identifier: Apache-2.0
"""Answers about what is known of devices' security: advisories, the seven properties, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from armillary.api.views import advisories as views_advisories, crashes as views_crashes
from armillary.api.views.security import assessment as views, containment as containment_views
from armillary.console.sources.request_context import RequestContext, uuid_of
from armillary.console.sources.signed_in import Document
from armillary.errors import NotFoundError

# Statements that are read at once to find one.
MAX_STATEMENTS: Final = 1000


def assess_fleet(by: RequestContext, catalog: str | None) -> Document:
    """How many devices show each of the seven properties, of a catalog or of all that the operator speaks for."""
    return views.of_fleet(by.service, catalog=by.catalog or catalog)


def assess_device(by: RequestContext, device_id: str) -> Document:
    """Which of the seven properties a device shows."""
    return views.of_device(by.service, device_id)


def show_containment(by: RequestContext, device_id: str) -> Document:
    """What contains a device's applications, and what holds each to what it was granted."""
    return containment_views.of_device(by.service, device_id)


# Advisories --------------------------------------------------------------------------------------------------------


def list_advisories(by: RequestContext, catalog: str | None, in_field: bool, limit: int, after: str | None) -> Document:  # noqa: FBT001 - named by every caller
    """A page of the advisories that affect an image or a release, the most urgent first."""
    answers = by.service.advisories.answers
    rows, cursor = answers.page(by.catalog or catalog, in_field=in_field, limit=limit, after=after)
    return {"items": rows, "next": cursor, "basis": answers.basis()}


def show_advisory(by: RequestContext, advisory_id: str, catalog: str | None, at: int | None) -> Document:
    """One advisory with all that it touches, now or ``at`` a time; of all catalogs with audit lines of its imports."""
    only = by.catalog or catalog
    return by.service.advisories.answers.show(advisory_id, only, at=at, with_audit=only is None and at is None)


def list_statements(by: RequestContext, names: Sequence[str], catalog: str | None, limit: int) -> Document:
    """The newest statements of operators about an advisory, which they may have called by any of its names."""
    made, only = by.service.advisories.statements, by.catalog or catalog
    found = [each for name in names for each in made.page(only, advisory=name, limit=limit).items]
    newest = sorted(found, key=lambda each: each.row.stated_at, reverse=True)
    return {"items": [views_advisories.statement(each) for each in newest[:limit]]}


def show_statement(by: RequestContext, statement_id: str) -> Document:
    """One statement that operators made, with its ``catalog``: None of the whole service. Raises NotFoundError."""
    made, number, after = by.service.advisories.statements, uuid_of("statement", statement_id), None
    while True:
        page = made.page(by.catalog, limit=MAX_STATEMENTS, after=after)
        for each in page.items:
            if each.row.statement_id == number:
                owner = each.row.catalog_id
                catalog = None if owner is None else by.service.registry.catalogs.get_by_id(owner).name
                return {**views_advisories.statement(each), "catalog": catalog}
        after = page.next_cursor
        if after is None:
            raise NotFoundError("there is no such statement", remedy="Reload the page of the advisory.")


def make_statement(
    by: RequestContext, advisory_id: str, catalog: str | None, subject: str, named: str, said: Mapping[str, str]
) -> Document:
    """State how an image, product or release (``subject``, by what it is ``named``) stands to an advisory."""
    from armillary.service.advisories.own_statements import Said, Subject  # noqa: PLC0415 - memory: few services have statements

    about = Subject(product=named)
    if subject != "product":
        number = uuid_of(subject, named)
        about = Subject(image=number) if subject == "image" else Subject(release=number)
    owner, actor = by.catalog or catalog, by.operator.name
    statements = by.service.advisories.statements
    return views_advisories.statement(statements.make(advisory_id, about, Said(**said), catalog=owner, actor=actor))


def take_back_statement(by: RequestContext, statement_id: str, catalog: str | None, reason: str) -> Document:
    """Say that a statement holds no more."""
    number, owner = uuid_of("statement", statement_id), by.catalog or catalog
    statements, actor = by.service.advisories.statements, by.operator.name
    return views_advisories.statement(statements.take_back(number, catalog=owner, reason=reason, actor=actor))


def list_advisory_devices(
    by: RequestContext, advisory_id: str, catalog: str | None, state: str, limit: int, after: str | None
) -> Document:
    """A page of the devices in a state, and how many there are."""
    answers = by.service.advisories.answers
    return answers.devices(advisory_id, by.catalog or catalog, state=state, limit=limit, after=after)


def advisory_coverage(by: RequestContext, catalog: str | None) -> Document:
    """What can be said of each image and release."""
    answers = by.service.advisories.answers
    return {"items": answers.coverage(by.catalog or catalog), "basis": answers.basis()}


def list_advisory_feeds(by: RequestContext) -> Document:
    """Feeds, each with its edition in force."""
    now = by.service.context.now()
    return {"items": [views_advisories.feed(each, now) for each in by.service.advisories.feeds()]}


# Crashes -----------------------------------------------------------------------------------------------------------


def list_crash_groups(by: RequestContext, catalog: str, image_id: str, limit: int, after: str | None) -> Document:
    """A page of a catalog's crash groups; with ``image_id`` those seen on an image."""
    image = uuid_of("image", image_id) if image_id else None
    return views_crashes.crash_groups(by.service, catalog, image_id=image, limit=limit, after=after)


def show_crash_group(by: RequestContext, catalog: str, crash_group: str) -> Document:
    """One crash group with its images, each with its ``name`` and ``version``: None of one that was deleted."""
    found = views_crashes.crash_group(by.service, catalog, crash_group)
    known = by.service.updates.images.some(catalog, [UUID(each["image_id"]) for each in found["images"]])
    for each in found["images"]:
        image = known.get(UUID(each["image_id"]))
        each |= {"name": None if image is None else image.name, "version": None if image is None else image.version}
    return found


def crash_reports(by: RequestContext, catalog: str, crash_group: str, limit: int, after: str | None) -> Document:
    """A page of the reports of a crash group."""
    return views_crashes.crash_reports(by.service, catalog, crash_group, limit=limit, after=after)


# Notification channels ---------------------------------------------------------------------------------------------


def list_channels(by: RequestContext) -> Document:
    """Channels, and how each is doing."""
    from armillary.api.views.security import notifications as views_notifications  # noqa: PLC0415 - memory: few have one

    return views_notifications.channels(by.service, by.catalog)


def notification_overview(by: RequestContext) -> Document:
    """Who is told of what, whether there is a mail server, which rules can reach nobody."""
    from armillary.api.views.security import notification_overview as views_overview  # noqa: PLC0415 - memory, as above

    return views_overview.overview(by.service, by.platform, by.catalog)


def choose_channel(by: RequestContext, channel_id: str, given: Document) -> Document:
    """Change what a channel is told from now on."""
    from armillary.api.views.security import notifications as views_notifications  # noqa: PLC0415 - memory, as above

    number = uuid_of("channel", channel_id)
    return views_notifications.choose(by.service, number, by.catalog, given, operator=by.operator)


def show_channel(by: RequestContext, channel_id: str) -> Document:
    """One channel."""
    from armillary.api.views.security import notifications as views_notifications  # noqa: PLC0415 - memory, as above

    return views_notifications.channel(by.service, uuid_of("channel", channel_id), by.catalog)


def given_up_events(by: RequestContext, channel_id: str, limit: int) -> Document:
    """The newest events that a channel was not told."""
    from armillary.api.views.security import notifications as views_notifications  # noqa: PLC0415 - memory, as above

    number = uuid_of("channel", channel_id)
    return views_notifications.given_up(by.service, number, by.catalog, limit=limit, after=None)


def make_channel(by: RequestContext, catalog: str | None, said: Mapping[str, Any]) -> Document:
    """Make a channel: ``said`` has its ``name``, ``kind``, ``options``, ``secret``, ``topics``, ``min_severity``."""
    from armillary.api.views.security import notifications as views_notifications  # noqa: PLC0415 - memory, as above
    from armillary.service.notifications.channels import ChannelForm  # noqa: PLC0415 - memory, as above

    form, owner = ChannelForm(**said), by.catalog or catalog
    return views_notifications.create(by.service, form, owner, operator=by.operator)


def test_channel(by: RequestContext, channel_id: str) -> Document:
    """Send a test now: what came back."""
    from armillary.api.views.security import notifications as views_notifications  # noqa: PLC0415 - memory, as above

    return views_notifications.test(by.service, uuid_of("channel", channel_id), by.catalog, operator=by.operator)


def retry_channel(by: RequestContext, channel_id: str) -> Document:
    """Send again what was given up."""
    kept = by.service.notifications.channels
    return {"events": kept.retry(uuid_of("channel", channel_id), by.catalog, operator=by.operator)}


def drop_channel(by: RequestContext, channel_id: str) -> Document:
    """Delete a channel with what waits for it."""
    by.service.notifications.channels.delete(uuid_of("channel", channel_id), by.catalog, operator=by.operator)
    return {"deleted": channel_id}


# Crash dumps -------------------------------------------------------------------------------------------------------


def list_crash_dumps(by: RequestContext, limit: int, after: str | None, order: str = "") -> Document:
    """A page of crash dumps, newest first or in an order, without their contents."""
    return views_crashes.crash_dumps(
        by.service, by.catalog, device_id=None, image_id=None, limit=limit, after=after, order=order
    )


def show_crash_dump(by: RequestContext, dump_id: str) -> Document:
    """A crash dump with names for its addresses; the reading is audited."""
    number = uuid_of("crash dump", dump_id)
    return views_crashes.crash_dump(by.service, number, by.catalog, actor=by.operator.name)


def crash_dump_content(by: RequestContext, dump_id: str) -> Document:
    """A crash dump as it was sent (``content``, bytes); the reading is audited."""
    number, actor = uuid_of("crash dump", dump_id), by.operator.name
    _, data = by.service.crash_dumps.read(number, catalog=by.catalog, actor=actor)
    return {"content": data}


def drop_crash_dump(by: RequestContext, dump_id: str) -> Document:
    """Delete a crash dump."""
    number, actor = uuid_of("crash dump", dump_id), by.operator.name
    by.service.crash_dumps.delete(number, catalog=by.catalog, actor=actor)
    return {"deleted": dump_id}


def show_collection(by: RequestContext, catalog: str, product: str, device_group: str) -> Document:
    """What crash dumps a device group collects."""
    return views_crashes.collection(by.service, catalog, product, device_group)


def put_collection(
    by: RequestContext,
    catalog: str,
    product: str,
    device_group: str,
    is_on: bool,  # noqa: FBT001 - named by every caller
    stacks: str,
    days: int,
) -> Document:
    """Set what crash dumps a device group collects."""
    named, actor = (catalog, product, device_group), by.operator.name
    by.service.crash_dumps.collect(*named, actor=actor, is_on=is_on, stacks=stacks, days=days)
    return views_crashes.collection(by.service, *named)


def erase_collection(by: RequestContext, catalog: str, product: str, device_group: str) -> Document:
    """Delete all crash dumps of a device group and their key."""
    erased = by.service.crash_dumps.erase(catalog, product, device_group, actor=by.operator.name)
    return {"erased": erased}

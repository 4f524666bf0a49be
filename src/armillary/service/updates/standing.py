# SPDX-License-Identifier: Apache-2.0
"""Where the update of one device stands, and why it does not have yet what it should have: a code, in words.

What the records know comes first (is the device there, may it, is there anything for it), then what the device itself
said with its last check-in. The codes are ``wire/device/update_reason.py``'s; which one is said is decided by
:func:`judge` alone, in the order of :data:`CAUSES`, which is the order in which causes hide each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    check_ins as check_in_rows,
    devices as device_rows,
    releases as release_rows,
    reports as report_rows,
    rollouts as rollout_rows,
)
from armillary.engines.records.queries.planning import fetches as fetch_rows
from armillary.engines.records.queries.planning.fetches import FetchProgress
from armillary.engines.records.response import kept as kept_rows
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.engines.records.schema.rows import Device, DeviceGroup
from armillary.engines.records.schema.update_rows import UpdateSchedule
from armillary.service.authority.trust_chain import Trusts, takes
from armillary.service.context.context import Context
from armillary.service.registry.names import no_such_device
from armillary.service.repository.repository import Repository
from armillary.service.updates.offers import Offers, Wanted, has, signed_by
from armillary.service.updates.os_feeds import WantedOs
from armillary.wire.device.update_reason import (
    FAILED_BEFORE,
    FETCHED,
    FETCHING,
    OFFERED,
    ON_TRIAL,
    OS_REVERTED,
    next_check_in,
    reason_of,
)
from armillary.wire.device.update_status import DIRECTIVE, OS

ALL: Final = "UpdateAll"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the records know about the update of a device.

    Attributes:
        group: Its device group; None for a device of no catalog.
        wanted: Its applications; None where none are meant for it.
        system: Its operating system; None where its feed has none.
        rollout: The roll-out that decides for its group.
        os_rollout: The roll-out of an OS release to devices of its chip and feed.
        last_offer: Id of what it was offered at its last check-in; None where nothing was.
        store: Id of the trust store that it is offered before anything else, or with it; None for none.
        store_lacks: Why it is not offered the newest store: that failed on it, or is not signed; None for neither.
        is_barred: Whether it does not trust who signed what it lacks, and no store leads it there.
        failure: Why it took ``wanted`` back or could not install it, in its own words; empty where it did not.
        os_failure: The same of ``system``.
        fetch: What it has fetched of its offer since its last check-in; None where it has fetched nothing.
    """

    device: Device
    group: DeviceGroup | None
    wanted: Wanted | None
    system: WantedOs | None
    rollout: Rollout | None
    last_offer: UUID | None
    failure: str
    os_rollout: Rollout | None = None
    store: UUID | None = None
    store_lacks: Standing | None = None
    is_barred: bool = False
    os_failure: str = ""
    fetch: FetchProgress | None = None

    @property
    def lacks_applications(self) -> bool:
        """Whether it reports other applications than it should have."""
        return self.wanted is not None and not has(self.device.installed, self.wanted.image_ids)

    @property
    def lacks_os(self) -> bool:
        """Whether it runs an operating system that it should not stay with."""
        return self.system is not None and not self.system.is_enough(self.device.os_version)

    @property
    def wanted_os_version(self) -> str:
        """What it should boot: its own version where that is enough, as of who has what a held roll-out brings."""
        if self.system is None:
            return ""
        return self.system.version if self.lacks_os else self.device.os_version

    @property
    def updates_os(self) -> bool:
        """Whether it says that it can update its operating system."""
        return self.device.update_status is not None and OS in self.device.update_status.abilities

    @property
    def lacks(self) -> bool:
        """Whether it is offered something."""
        return self.store is not None or self.lacks_applications or (self.lacks_os and self.updates_os)

    @property
    def is_heard(self) -> bool:
        """Whether its last check-in offered it what it lacks now."""
        return self.was_offered and not self.speaks_of_another_os

    @property
    def was_offered(self) -> bool:
        """Whether its last check-in offered it what it lacks now, whatever it said there."""
        meant = (self.wanted and self.wanted.offer.offer_id, self.system and self.system.release_id, self.store)
        return self.last_offer is not None and self.last_offer in meant

    @property
    def lacks_os_alone(self) -> bool:
        """Whether it is offered an operating system, and nothing else."""
        return self.lacks_os and self.updates_os and not self.lacks_applications and self.store is None

    @property
    def speaks_of_another_os(self) -> bool:
        """Whether what it says has failed is an operating system that is not meant for it any more."""
        said = self.device.update_status
        has_failed = said is not None and said.reason == FAILED_BEFORE
        return has_failed and self.lacks_os_alone and not self.os_failure

    @property
    def is_passed_over(self) -> bool:
        """Whether a roll-out decides for its group and has not come to it."""
        if self.rollout is None:
            return False
        brought = {part.deployment_id for part in self.rollout.parts}
        return self.wanted is None or self.wanted.offer.deployment_id not in brought

    @property
    def is_not_granted(self) -> bool:
        """Whether its turn has come, it was offered nothing of it yet, and the held roll-out gives it to nobody now."""
        if self.rollout is None or self.rollout.state != "held" or self.is_passed_over:
            return False
        gets_other = self.store is not None or (self.lacks_os and self.updates_os)
        return self.lacks_applications and not (self.is_heard or self.failure or gets_other)

    @property
    def waits_for_os(self) -> bool:
        """Whether the roll-out of an OS release has not come to it; what it should have until then, it has."""
        rollout = self.os_rollout
        if rollout is None or self.lacks or self.lacks_os or not self.updates_os:
            return False
        is_wanted = self.system is not None and self.system.release_id == rollout.release_id
        return not is_wanted and self.device.os_version != rollout.version


class Standing(NamedTuple):
    """A reason code of ``wire/device/update_reason.py``, what more is known, and until when, Unix seconds UTC."""

    code: str
    detail: str = ""
    until: int | None = None


_UP_TO_DATE: Final = Standing("up-to-date")


def _on_trial(facts: Facts) -> Standing | None:
    said = facts.device.update_status
    is_there = facts.device.verdict != "update-only" and facts.group is not None and not facts.lacks
    return Standing(ON_TRIAL) if is_there and said is not None and said.reason == ON_TRIAL else None


def _fetching(facts: Facts) -> Standing | None:
    if facts.fetch is None or not facts.was_offered:
        return None
    return Standing(FETCHED if len(facts.fetch.sent) >= facts.fetch.parts else FETCHING)


def _own_words(facts: Facts) -> Standing | None:
    said = facts.device.update_status
    if not facts.is_heard or said is None or not said.reason:
        return None
    if said.reason == FAILED_BEFORE and facts.lacks_os_alone:
        return _os_reverted(facts)
    if said.reason == FAILED_BEFORE and facts.store_lacks is not None and not facts.failure:
        return (
            None if facts.store is None else facts.store_lacks
        )  # it says so of the store, which failed in other words
    return Standing(said.reason, said.detail, said.until)


def _rollout(facts: Facts) -> Standing | None:
    rollout = facts.rollout
    if rollout is None or rollout.state == "rolling-back":
        return None
    if not facts.is_not_granted and (not facts.is_passed_over or facts.lacks):
        return None
    if rollout.state == "held":
        return Standing("rollout-held", rollout.reason)
    return Standing("rollout-waits", _waiting(rollout))


def _waiting(rollout: Rollout) -> str:
    """The roll-out that has not come to a device, and why it starts none at all where that is so."""
    return f"roll-out {rollout.rollout_id}" + (f": {rollout.reason}" if rollout.reason else "")


def _os_rollout(facts: Facts) -> Standing | None:
    rollout, group = facts.os_rollout, facts.group
    if rollout is None or group is None or not facts.waits_for_os or facts.device.verdict == "update-only":
        return None
    is_own = rollout.catalog_id == group.catalog_id  # what a roll-out says of all catalogs is nobody's in one of them
    if rollout.state == "held":
        return Standing("rollout-held", rollout.reason if is_own else f"OS {rollout.version}")
    return Standing("rollout-waits", _waiting(rollout) if is_own else f"OS {rollout.version}")


def _os_reverted(facts: Facts) -> Standing | None:
    if facts.system is None or not facts.os_failure:
        return None
    return Standing(OS_REVERTED, f"OS {facts.system.version}: {facts.os_failure}")


def _failed(facts: Facts) -> Standing | None:
    if facts.lacks_os_alone:
        return _os_reverted(facts)
    return Standing(FAILED_BEFORE, facts.failure) if facts.failure and facts.lacks_applications else None


def _lacks_nothing(facts: Facts) -> Standing | None:
    device, group, system = facts.device, facts.group, facts.system
    if facts.lacks or group is None:
        return None
    step = "" if system is None else f"{device.os_version} to {system.version}"
    rows = (
        (device.verdict == "update-only", Standing("update-only")),
        (facts.store_lacks is not None, facts.store_lacks or _UP_TO_DATE),
        (facts.lacks_os, Standing("os-by-hand", step)),
        (group.update_policy == ALL and group.has_deployment and facts.wanted is None, Standing("wrong-chip")),
        (facts.wanted is not None, _UP_TO_DATE),
        (group.update_policy != ALL, Standing("os-only")),
        (system is None, Standing("no-release")),
    )
    return next((found for holds, found in rows if holds), Standing("nothing-deployed"))


def _keys(facts: Facts) -> Standing | None:
    if facts.store_lacks is not None and (facts.is_barred or facts.store is not None):
        return facts.store_lacks
    if facts.store is not None:
        return Standing("keys-first")
    return Standing("keys-by-hand") if facts.is_barred else None


# The first that is not None is what is said.
CAUSES: Final[tuple[Callable[[Facts], Standing | None], ...]] = (
    lambda facts: Standing("revoked", facts.device.revoked_reason) if facts.device.revoked_at is not None else None,
    lambda facts: Standing("unclaimed") if facts.group is None else None,
    lambda facts: Standing("held") if facts.device.held_at is not None else None,
    lambda facts: Standing("never-seen") if facts.device.last_check_in_at is None else None,
    lambda facts: Standing("silent") if facts.device.health == "silent" else None,
    _rollout,
    _os_rollout,
    _on_trial,
    _lacks_nothing,
    _fetching,
    _own_words,
    _failed,
    _keys,
    lambda facts: Standing(OFFERED) if facts.is_heard else None,
)


def judge(facts: Facts) -> Standing:
    """What is said of a device."""
    for cause in CAUSES:
        if (found := cause(facts)) is not None:
            return found
    return Standing("check-in-due")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateStanding:
    """Where the update of a device stands, with what it has and what it should have.

    Attributes:
        until: Until when it stays like that, where that is known, Unix seconds UTC.
        os_version: What it booted last; empty before its first check-in.
        wanted_os_version: What it should boot; empty where nothing is meant for it.
        lacking: Names of the applications that it should have and does not.
        check_in_by: When it checks in at the latest; None before its first check-in.
        check_in_after: What it checks in after: a code of ``wire/device/update_reason.py``'s NEXT_CHECK_INS.
        check_in_meaning: The same as a sentence.
        fetch: How far it is with fetching what it was offered; None unless it has begun since its last check-in.
        group: Catalog, product and name of its group; empty where it has none.
    """

    device_id: str
    code: str
    meaning: str
    remedy: str
    detail: str
    until: int | None
    os_version: str
    wanted_os_version: str
    deployment_id: UUID | None
    lacking: tuple[str, ...]
    rollout_id: UUID | None
    abilities: tuple[str, ...] | None
    last_check_in_at: int | None
    check_in_by: int | None
    check_now_at: int | None
    check_in_after: str
    check_in_meaning: str
    fetch: FetchProgress | None
    group: tuple[str, ...]
    schedule: UpdateSchedule | None


class Standings:
    """Says where the update of a device stands."""

    def __init__(self, context: Context, offers: Offers, repository: Repository) -> None:
        self._context = context
        self._offers = offers
        self._repository = repository

    def of(self, device_id: str) -> UpdateStanding:
        """Where the update of a device stands; NotFoundError if there is none of this id."""
        facts, schedule = self._context.records.read(lambda c: self._facts(c, device_id.lower()))
        found = judge(facts)
        reason = reason_of(found.code)
        device, wanted, said = facts.device, facts.wanted, facts.device.update_status
        has_ids = {image.image_id for image in device.installed}
        settings = self._context.settings
        interval_s = (None if schedule is None else schedule.check_interval_s) or settings.check_in_interval_s
        by = None
        if device.last_check_in_at is not None:
            by = device.last_check_in_at + int(interval_s * (1 + settings.check_in_jitter))
        is_asked = device.check_now_at is not None and device.check_now_at > (device.last_check_in_at or 0)
        after = next_check_in(found.code, is_asked=is_asked)
        place = () if facts.group is None else (facts.group.catalog, facts.group.product, facts.group.name)
        return UpdateStanding(
            device_id=device.device_id,
            code=found.code,
            meaning=reason.meaning,
            remedy=reason.remedy,
            detail=found.detail,
            until=found.until or (by if found.code == "check-in-due" else None),
            os_version=device.os_version,
            wanted_os_version=facts.wanted_os_version,
            deployment_id=None if wanted is None else wanted.offer.deployment_id,
            lacking=tuple(i.name for i in wanted.offer.images if i.image_id not in has_ids) if wanted else (),
            rollout_id=None if facts.rollout is None else facts.rollout.rollout_id,
            abilities=None if said is None else said.abilities,
            last_check_in_at=device.last_check_in_at,
            check_in_by=by,
            check_now_at=device.check_now_at,
            check_in_after=after.code,
            check_in_meaning=after.meaning,
            fetch=facts.fetch if found.code in (FETCHING, FETCHED) else None,
            group=place,
            schedule=schedule,
        )

    def _facts(self, connection: Connection, device_id: str) -> tuple[Facts, UpdateSchedule | None]:
        device = device_rows.one(connection, device_id, **self._context.as_of)
        enrolled = device_rows.enrolled(connection, device_id)
        if device is None or enrolled is None:
            raise no_such_device(device_id)
        group = None if device.group_id is None else catalog_rows.group_by_id(connection, device.group_id)
        wanted = self._offers.wanted(device.group_id, enrolled.number, device.chip)
        system = self._offers.wanted_os(device.group_id, enrolled.number, device.chip)
        system = None if system is None else system.for_version(device.os_version)
        last = check_in_rows.list_of_device(connection, device_id, limit=1, before=None).items
        last_offer = last[0].offer_id if last else None
        store, store_lacks, is_barred = self._trust(connection, device, wanted, system, last_offer)
        fetched = fetch_rows.of_device(connection, enrolled.number, last[0].certificate_serial) if last else None
        facts = Facts(
            device=device,
            group=group,
            wanted=wanted,
            system=system,
            rollout=None if group is None else _rollout_of(connection, device_id, group),
            last_offer=last_offer,
            failure="" if wanted is None else _failure(connection, device_id, wanted.offer.offer_id),
            os_rollout=None if group is None else _os_rollout_of(connection, device, group),
            store=store,
            store_lacks=store_lacks,
            is_barred=is_barred,
            os_failure="" if system is None else _os_failure(connection, device_id, system),
        )
        if fetched is not None:
            facts = replace(facts, fetch=fetched.progress(self._lacking(connection, facts)))
        return facts, None if group is None else catalog_rows.update_schedule(connection, group.group_id)

    def _lacking(self, connection: Connection, facts: Facts) -> list[tuple[bytes, str]]:
        """What a device is offered, and does not say or measure to have: SHA-256 and name of each image."""
        device, images = facts.device, [one for one in self._offers.book.trust.images if one.image_id == facts.store]
        if facts.lacks_os and facts.updates_os and facts.system is not None:
            runs = {
                component.digest
                for release in release_rows.every(connection)
                if (release.chip, release.version) == (device.chip, device.os_version)
                for component in release.components
            }
            images += [one for one in facts.system.images if one.sha256 not in runs]
        if facts.lacks_applications and facts.wanted is not None:
            has_ids = {image.image_id for image in device.installed}
            images += [one for one in facts.wanted.offer.images if one.image_id not in has_ids]
        return [(one.sha256, one.name) for one in images]

    def _trust(
        self,
        connection: Connection,
        device: Device,
        wanted: Wanted | None,
        system: WantedOs | None,
        last_offer: UUID | None,
    ) -> tuple[UUID | None, Standing | None, bool]:
        """The trust store that a device is offered next, why it is not offered the newest, whether it is barred so."""
        trust, said = self._offers.book.trust, device.update_status
        if not trust.moves or said is None or not said.trusted_keys:
            return None, None, False
        unnamed = self._repository.unnamed(trust.images) if DIRECTIVE in said.abilities else frozenset()
        trusts = Trusts(bytes.fromhex(said.trusted_keys), bytes.fromhex(said.trusted_roots))
        signed = signed_by(wanted, system, device.installed, ())
        found, lacks = trust.next_store(trusts, signed), None
        while found is not None:
            image_id = found.image.image_id
            failure = _failure(connection, device.device_id, image_id) if found.is_alone else ""
            if image_id not in unnamed and not failure:
                return image_id, lacks, False
            lacks = lacks or (Standing("store-waits") if image_id in unnamed else Standing("store-failed", failure))
            if image_id == last_offer:
                return image_id, lacks, False
            trusts = trusts._replace(left_out=trusts.left_out | {image_id})
            found = trust.next_store(trusts, signed)
        present = trust.present(trusts.keys)
        if present is None:
            return None, lacks, False
        lacks_os = system is not None and not system.is_enough(device.os_version)
        signers = ([] if wanted is None or has(device.installed, wanted.image_ids) else wanted.signers, present.images)
        barred = not takes(*signers) or (lacks_os and system is not None and system.signer not in present.os)
        return None, lacks, barred


def _rollout_of(connection: Connection, device_id: str, group: DeviceGroup) -> Rollout | None:
    """The roll-out that decides for a device; one to the devices of an action decides for no other."""
    found = rollout_rows.living_of_group(connection, group.group_id)
    if found is None or found.action_id is None or kept_rows.is_chosen(connection, found.action_id, device_id):
        return found
    return None


def _os_rollout_of(connection: Connection, device: Device, group: DeviceGroup) -> Rollout | None:
    """The roll-out of an OS release that is to come to a device of a group; None for none, or where it goes back."""
    found = rollout_rows.living_of_feed(connection, device.chip, group.os_feed)
    if found is None or found.state == "rolling-back" or found.only_catalog_id not in (None, group.catalog_id):
        return None
    return found


def _failure(connection: Connection, device_id: str, deployment_id: UUID) -> str:
    """Why a device has given up a deployment, in its own words; empty where it has not."""
    last = report_rows.outcomes(
        connection, device_id=device_id, deployment_id=deployment_id, limit=1, before=None
    ).items
    if not last or last[0].outcome == "confirmed":
        return ""
    return last[0].reason or last[0].outcome


def _os_failure(connection: Connection, device_id: str, system: WantedOs) -> str:
    """Why a device has given up an operating system, in its own words; empty where it has not."""
    last = report_rows.last_outcome(connection, device_id, [image.image_id for image in system.images])
    return "" if last is None or last.outcome == "confirmed" else last.reason or last.outcome

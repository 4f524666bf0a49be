# SPDX-License-Identifier: Apache-2.0
"""What each catalog demands of its devices: stored in versions, audited, computed when it changes.

The book is an immutable snapshot that is replaced as a whole, like that of ``service/updates/offers.py``: the
verifier reads it without a lock, and a change takes effect at each device's next check-in.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.attest import policy as rules
from armillary.attest.firmware_reference import FirmwareReference
from armillary.attest.policy import AttestationPolicy, PolicyInForce
from armillary.attest.started_systems import StartedSystems
from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    firmware as firmware_rows,
    policies as policy_rows,
    releases as release_rows,
)
from armillary.engines.records.queries.policies import CatalogPolicy
from armillary.engines.records.schema.rows import OS_FEEDS, Catalog, OsRelease
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.registry.names import catalog_or_raise
from armillary.service.updates.os_feeds import FeedOfChip, Systems, systems_of
from armillary.service.verifier.reachable import (
    has_component,
    imported_alone,
    missed,
    remedy_beside,
    stranded,
    ungiven,
    unmet,
)
from armillary.service.verifier.released_loaders import ReleasedLoaders

# Catalog id to its policy and its reference values for firmware; catalogs that demand nothing are left out.
Book = Mapping[UUID, PolicyInForce]

MAX_HISTORY = 1000
# In place of a feed: no feed gives them (feeds have no empty name).
_IMPORTED: Final = ""


class AttestationPolicies:
    """Stores the policies and gives the verifier the current book. An unknown catalog raises NotFoundError."""

    def __init__(self, context: Context, chips: Chips, loaders: ReleasedLoaders) -> None:
        self._context = context
        self._chips = chips
        self._loaders = loaders
        self._lock = threading.Lock()
        self._book: Book = MappingProxyType({})
        self._started = StartedSystems({})
        self.on_change: list[Callable[[], None]] = []  # called after each refresh

    @property
    def book(self) -> Book:
        """The snapshot now; another object whenever a policy changed."""
        return self._book

    @property
    def started(self) -> StartedSystems:
        """What a firmware measures of the releases, for every catalog; another object whenever a release changed."""
        return self._started

    def refresh(self) -> None:
        """Compute the book, and what is measured of the releases, again from the records."""
        with self._lock:  # two changes at once: the later one reads what the earlier one wrote
            found = self._context.records.read(policy_rows.every_newest)
            stated = self._context.records.read(firmware_rows.every)
            policies = {one.catalog_id: one.policy for one in found if not one.policy.demands_nothing}
            self._started = StartedSystems(self._loaders.by_package())
            loaders = self._loaders.of({each.chip for of_catalog in stated.values() for each in of_catalog})
            self._book = MappingProxyType(
                {
                    catalog_id: PolicyInForce(
                        policies.get(catalog_id, AttestationPolicy()),
                        FirmwareReference(stated[catalog_id], loaders) if catalog_id in stated else None,
                    )
                    for catalog_id in policies.keys() | stated.keys()
                }
            )
        for call in self.on_change:
            call()

    def get(self, catalog: str) -> CatalogPolicy:
        """The policy in force in a catalog; version 0, which demands nothing, where none was set."""
        return self._context.records.read(lambda c: policy_rows.newest(c, catalog_or_raise(c, catalog).catalog_id))

    def history(self, catalog: str, *, limit: int = MAX_HISTORY) -> tuple[CatalogPolicy, ...]:
        """The versions of a catalog's policy, newest first."""
        return self._context.records.read(
            lambda c: policy_rows.history(c, catalog_or_raise(c, catalog).catalog_id, limit=limit)
        )

    def revise(
        self, catalog: str, change: Mapping[str, Any], *, actor: str, if_version: int | None = None
    ) -> CatalogPolicy:
        """Change what a catalog demands, from each device's next check-in on.

        ``change`` has fields of ``attest/policy.py``'s JSON form; absent ones stay as they are, minimum security
        versions are added to those in force. ``if_version`` is the version that the caller has seen; None for any.

        Raises:
            NotFoundError: no such catalog or chip.
            InvalidArgumentError: a field is wrong, or demands what devices of the catalog are given no release with.
            ConflictError: a minimum security version would fall, or another version is in force than ``if_version``.
        """

        def write(connection: Connection) -> CatalogPolicy:
            found = catalog_or_raise(connection, catalog)
            before = policy_rows.newest(connection, found.catalog_id)
            if if_version is not None and if_version != before.version:
                raise ConflictError(
                    f"the policy of catalog {found.name} is version {before.version}, not {if_version}",
                    remedy="Look at it again: armillary attestation-policy show; somebody else changed it.",
                )
            policy = rules.revised(before.policy, change)
            if policy == before.policy:
                return before
            self._check_reachable(connection, found, policy, before.policy)
            made = replace(
                before, version=before.version + 1, policy=policy, changed_at=self._context.now(), changed_by=actor
            )
            policy_rows.add(connection, made)
            detail = {"version": made.version, "before": rules.to_json(before.policy), "after": rules.to_json(policy)}
            self._context.audit(connection, actor, "attestation-policy.set", found.name, detail)
            return made

        made = self._context.records.write(write)
        self.refresh()
        return made

    def _check_reachable(
        self, connection: Connection, catalog: Catalog, policy: AttestationPolicy, before: AttestationPolicy
    ) -> None:
        """Refuse a demand that devices could not meet: minimums never fall, so it could not be taken back.

        What the feeds of the catalog's groups give has to meet all minimums together: to each accepted chip of which it
        has devices, in each feed of groups that have them; where it has none, to one accepted chip. Of a chip whose
        devices run imported releases alone, one of these has to.
        """
        accepted = {self._chips.get(name).name for name in policy.chips or self._chips.names}
        raised = {
            kind: minimum
            for kind, minimum in policy.minimum_security_versions.items()
            if minimum != before.minimum_security_versions.get(kind)
        }
        if not raised:
            return
        owned = accepted & release_rows.chips_of_catalog(connection, catalog.catalog_id)
        systems = systems_of(connection, now=self._context.now())
        given = self._given(connection, systems, catalog, owned or accepted, policy.minimum_security_versions)
        for kind, minimum in raised.items():
            if not any(has_component(one, kind) for one in given.values()):
                raise InvalidArgumentError(
                    f"minimum security version of image type {kind}: no release that the catalog's groups are given "
                    f"for an accepted chip has such a component, got {minimum}",
                    remedy="Publish one first: every device would be shut out else.",
                )
        for chip in sorted(owned):
            self._check_given(connection, systems, catalog, chip, given, raised)
        # The raised ones first: they are what is refused by name.
        short = unmet(given, raised | dict(policy.minimum_security_versions), raised, by_all=bool(owned))
        if short is None:
            feeds = _feeds_of(connection, catalog)
            for chip in sorted(chip for chip in owned if (_IMPORTED, chip) not in given):
                also = _remedy_beside(connection, systems, catalog, chip)
                _check_taken(systems, catalog, chip, feeds, policy, before, also=also)
            return
        version, minimum = given[short.feed, short.chip].version, policy.minimum_security_versions[short.image_type]
        said = (
            f"minimum security version of image type {short.image_type}: expected 0 to {short.security_version}, got "
            f"{minimum}"
        )
        if short.feed == _IMPORTED:
            raise InvalidArgumentError(
                f"{said}; its devices of {short.chip} run imported releases alone, and none of these in force meets "
                "all minimums of the catalog together",
                remedy="Import the reference values of one that does first: armillary release import-corim.",
            )
        also = _remedy_beside(connection, systems, catalog, short.chip)
        raise InvalidArgumentError(
            f"{said}; {short.feed} gives {version} to {short.chip}, and what it gives has to meet all minimums of the "
            "catalog together",
            remedy=f"Promote a release that does to {short.feed} first (armillary release promote, or publish it "
            f"there), withdraw what is bad, or accept other chips alone: its devices would be shut out else.{also}",
        )

    def _check_given(
        self,
        connection: Connection,
        systems: Systems,
        catalog: Catalog,
        chip: str,
        given: Mapping[FeedOfChip, OsRelease],
        raised: Mapping[int, int],
    ) -> None:
        """Refuse to raise minimums while devices of a chip that boots such components are given nothing."""
        kind = next((one.image_type for one in self._chips.get(chip).boot_components if one.image_type in raised), None)
        if kind is None or (_IMPORTED, chip) in given:
            return
        missing = ungiven(systems, chip, release_rows.places_of_devices(connection, chip, catalog.catalog_id))
        if missing is None:
            return
        feed, also = missing[1], _remedy_beside(connection, systems, catalog, chip)
        raise InvalidArgumentError(
            f"minimum security version of image type {kind}: {feed} gives no operating system to {chip}, of which the "
            f"catalog has devices, got {raised[kind]}",
            remedy=f"Promote a release that meets it to {feed} first (armillary release promote, or publish it there), "
            f"or accept other chips alone: its devices would be shut out and offered nothing.{also}",
        )

    def _given(
        self,
        connection: Connection,
        systems: Systems,
        catalog: Catalog,
        chips: Collection[str],
        minimums: Mapping[int, int],
    ) -> dict[FeedOfChip, OsRelease]:
        """What the feeds of a catalog's groups give to these chips; of one without groups that of all new groups.

        A chip of which the catalog has devices with imported releases alone has one of these instead, which meets the
        minimums if one does.
        """
        feeds = _feeds_of(connection, catalog)
        releases = {one.release_id: one for one in systems.releases}
        found = {
            (feed, chip): releases[system.release_id]
            for (feed, chip), system in systems.of(catalog.catalog_id).items()
            if feed in feeds and chip in chips
        }
        for chip in chips:
            running = release_rows.running(connection, chip, catalog.catalog_id)
            imported = imported_alone(systems, chip, running)
            if imported:
                places = [((_IMPORTED, chip), one) for one in imported]
                best = next(
                    (place for place in places if unmet(dict([place]), minimums, (), by_all=True) is None), places[-1]
                )
                found = {at: one for at, one in found.items() if at[1] != chip} | dict([best])
        return found


def _feeds_of(connection: Connection, catalog: Catalog) -> set[str]:
    """The OS feeds of a catalog's groups; of one without groups that of all new groups."""
    return {group.os_feed for group in catalog_rows.groups(connection, catalog.catalog_id)} or {OS_FEEDS[0]}


def _remedy_beside(connection: Connection, systems: Systems, catalog: Catalog, chip: str) -> str:
    """The further sentence of a remedy where a device keeps a chip's imported releases from counting; or empty."""
    return remedy_beside(systems, chip, release_rows.running(connection, chip, catalog.catalog_id))


def _check_taken(
    systems: Systems,
    catalog: Catalog,
    chip: str,
    feeds: Collection[str],
    policy: AttestationPolicy,
    before: AttestationPolicy,
    *,
    also: str,
) -> None:
    """Refuse minimums that shut out a release whose devices do not take what they are given instead.

    ``also`` is a further sentence of the remedy.
    """

    def is_shut_out(release: OsRelease) -> bool:
        was_missed = missed(release, before.minimum_security_versions) is not None
        return not was_missed and missed(release, policy.minimum_security_versions) is not None

    found = stranded(systems, systems, catalog.catalog_id, chip, is_shut_out, feeds)
    if found is not None:
        raise InvalidArgumentError(
            f"minimum security versions: expected those that {found.version} of {chip} meets: {found.feed} gives its "
            f"devices {found.given}, which has a lower security version of a component, or misses a minimum as well",
            remedy=f"Publish a release to {found.feed} first that is lower in no component and meets all minimums."
            f"{also}",
        )

# SPDX-License-Identifier: Apache-2.0
"""All that is known of a product: keys, certificates in force, releases, images, components, open advisories, groups.

It is what the records hold now, as counts over device groups and sets of software: a product of a million devices is
answered by one walk over their index. What devices run is what they said in their last check-in; how much of that was
attested is said with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.advisories import components as component_rows
from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    certificates as certificate_rows,
    releases as release_rows,
)
from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.engines.records.queries.security import product_traces as rows
from armillary.engines.records.queries.security.product_traces import ListedComponent, ProductDevices, RunningOs
from armillary.engines.records.schema.advisory_rows import Artifact
from armillary.engines.records.schema.rows import AuditLine, DeviceGroup, OsRelease, Product
from armillary.service.advisories.advisories import Advisories
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.registry.audit import AuditLog
from armillary.service.registry.names import product_or_raise
from armillary.service.registry.product_facts import Supported, supported

# Rows of one kind in an answer, so that it stays below a few megabytes; ``cut`` says of which there are more.
MAX_GROUPS: Final = 500
MAX_IMAGES: Final = 500
MAX_RELEASES: Final = 200
MAX_KEYS: Final = 100
MAX_COMPONENTS: Final = 5000
MAX_HAVING: Final = 20  # releases and images that are named for a component; ``count`` has them all
MAX_ADVISORIES: Final = 500
MAX_CASES: Final = 100  # and reports
MAX_LINES: Final = 1000

# Kinds of authorities of the whole service above a product, and those of its catalog, from the root's side.
_SERVICE_KINDS: Final = ("root", "policy")
_CATALOG_KINDS: Final = ("catalog", "issuing")


@dataclass(frozen=True, slots=True)
class Key:
    """A key that the product rests on, by its certificate.

    Attributes:
        kind: As certificates have it: ``root``, ``silicon``, ``catalog``, ``image-signing``...
        state: ``in-force``, ``ended`` or ``revoked``.
        signed: ``release`` and ``image`` -> how many of this answer's it signed.
    """

    serial: str
    kind: str
    subject: str
    state: str
    not_before: int
    not_after: int
    revoked_at: int | None
    signed: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductTrace:
    """Everything known of a product now.

    Attributes:
        groups: Each with ``devices``.
        devices: ``count``, and counts by ``health``, ``tiers`` and ``chips``.
        certificates: Client certificates in force: ``in_force``, ``next_end`` and ``last_end`` (Unix seconds or None).
        releases: Operating systems that run or are published for it, with ``devices`` and what is known of advisories.
        images: Applications that run or are deployed, likewise.
        components: What the bills of materials of these list, each with the ``artifacts`` that have it, the first
            :data:`MAX_HAVING`, and their ``count``.
        advisories: Open ones, the most urgent first; ``devices`` are the product's.
        cases: What must be reported to authorities about it, the newest first; ``closed_at`` is None of open ones.
        reports: Reports of vulnerabilities that were given to it, the newest first, without what they say.
        coverage: State of what can be said of advisories -> how many releases and images; only ``none-known`` is good
            news, and is as good as its feeds' dates.
        audit: Lines about the product, its groups, images and releases, oldest first.
        cut: Kinds of rows of which there are more than are shown.
    """

    product: Supported
    groups: Sequence[Mapping[str, Any]]
    devices: Mapping[str, Any]
    certificates: Mapping[str, int | None]
    keys: Sequence[Key]
    releases: Sequence[Mapping[str, Any]]
    images: Sequence[Mapping[str, Any]]
    components: Sequence[Mapping[str, Any]]
    advisories: Sequence[Mapping[str, Any]]
    cases: Sequence[Mapping[str, Any]]
    reports: Sequence[Mapping[str, Any]]
    coverage: Mapping[str, int]
    audit: Sequence[AuditLine]
    cut: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Found:
    """What one reading of the records gave."""

    product: Product
    groups: tuple[DeviceGroup, ...]
    devices: tuple[ProductDevices, ...]
    releases: list[dict[str, Any]]
    images: list[dict[str, Any]]
    contents: Mapping[str, Artifact]
    components: Mapping[ListedComponent, list[int]]
    keys: list[Key]
    cases: list[dict[str, Any]]
    reports: list[dict[str, Any]]


class ProductTraces:
    """Traces of products."""

    def __init__(self, context: Context, chips: Chips, audit: AuditLog, advisories: Advisories) -> None:
        self._context = context
        self._chips = chips
        self._audit = audit
        self._advisories = advisories

    def of(self, catalog: str, product: str, *, with_audit: bool) -> ProductTrace:
        """The trace of a product.

        Raises:
            NotFoundError: the catalog or the product does not exist.
        """
        now = self._context.now()
        found = self._context.records.read(partial(self._read, catalog=catalog, product=product, now=now))
        releases, images = found.releases[:MAX_RELEASES], found.images[:MAX_IMAGES]
        artifacts = {UUID(each["id"]) for each in (*releases, *images) if each["id"]}
        answers, owner = self._advisories.answers, found.product.catalog_id
        known = {UUID(each["id"]): each for each in answers.coverage(catalog, artifacts)}
        advisories = answers.of_groups(owner, {each.group_id for each in found.groups}, artifacts)
        counts: Counter[UUID] = Counter()
        for each in found.devices:
            counts[each.group_id] += each.devices
        groups = [_group(each, counts[each.group_id]) for each in found.groups]
        lines = self._audit.about(_targets(found, artifacts), limit=MAX_LINES) if with_audit else ()
        shown = [_with_coverage(each, known) for each in (*releases, *images)]
        many = {
            "groups": len(groups) > MAX_GROUPS,
            "releases": len(found.releases) > MAX_RELEASES,
            "images": len(found.images) > MAX_IMAGES,
            "keys": len(found.keys) > MAX_KEYS,
            "components": len(found.components) > MAX_COMPONENTS,
            "advisories": len(advisories) > MAX_ADVISORIES,
            "cases": len(found.cases) > MAX_CASES,
            "reports": len(found.reports) > MAX_CASES,
            "audit": len(lines) == MAX_LINES,
        }
        return ProductTrace(
            product=supported(found.product, counts.total(), now),
            groups=groups[:MAX_GROUPS],
            devices=_devices(found.devices),
            certificates=_certificates(found.devices),
            keys=found.keys[:MAX_KEYS],
            releases=shown[: len(releases)],
            images=shown[len(releases) :],
            components=_components(found),
            advisories=advisories[:MAX_ADVISORIES],
            cases=found.cases[:MAX_CASES],
            reports=found.reports[:MAX_CASES],
            coverage=Counter(each["advisory_state"] for each in shown),
            audit=tuple(reversed(lines)),
            cut=tuple(kind for kind, is_cut in many.items() if is_cut),
        )

    def _read(self, connection: Connection, *, catalog: str, product: str, now: int) -> _Found:
        one = product_or_raise(connection, catalog, product)
        devices = rows.devices(connection, one.product_id, **self._context.as_of)
        running = rows.running_os(connection, one.product_id)
        every = {(each.chip, each.version): each for each in release_rows.every(connection)}
        releases = _releases(running, every)
        images = _images(connection, one)
        wanted = {row["id"] for row in (*releases[:MAX_RELEASES], *images[:MAX_IMAGES])}
        contents = {
            str(each.artifact_id): each
            for each in component_rows.artifacts(connection, one.catalog_id)
            if str(each.artifact_id) in wanted
        }
        numbers = {each.content.content_id for each in contents.values() if each.content is not None}
        return _Found(
            product=one,
            groups=catalog_rows.groups(connection, one.catalog_id, product_id=one.product_id),
            devices=devices,
            releases=releases,
            images=images,
            contents=contents,
            components=rows.components(connection, numbers, limit=MAX_COMPONENTS + 1),
            keys=self._keys(connection, one, devices, (*releases, *images), now),
            cases=rows.cases(connection, one.catalog_id, one.product_id, limit=MAX_CASES + 1),
            reports=rows.reports(connection, one.product_id, limit=MAX_CASES + 1),
        )

    def _keys(
        self,
        connection: Connection,
        product: Product,
        devices: Iterable[ProductDevices],
        artifacts: Iterable[Mapping[str, Any]],
        now: int,
    ) -> list[Key]:
        """The authorities above the product, those of its chips' makers, and the keys that signed what it runs."""
        known = set(self._chips.names)
        makers = {self._chips.get(each.chip).maker for each in devices if each.chip in known}
        signed: dict[str, Counter[str]] = {}
        for each in artifacts:
            if each.get("signer"):
                signed.setdefault(each["signer"], Counter())[each["kind"]] += 1
        records = [one for kind in _SERVICE_KINDS for one in certificate_rows.of_kind(connection, kind)]
        records += [one for one in certificate_rows.of_kind(connection, "silicon") if one.subject in makers]
        records += certificate_rows.of_catalog(connection, product.catalog_id, kinds=_CATALOG_KINDS)
        living = [one for one in records if one.not_after > now]
        found = [certificate_rows.by_serial(connection, serial) for serial in sorted(signed)]
        living += sorted((one for one in found if one is not None), key=lambda one: (one.kind, one.issued_at))
        return [_key(one, signed.get(one.serial, {}), now) for one in living]


def _key(one: CertificateRecord, signed: Mapping[str, int], now: int) -> Key:
    state = "revoked" if one.revoked_at is not None else "in-force" if one.not_after > now else "ended"
    return Key(one.serial, one.kind, one.subject, state, one.not_before, one.not_after, one.revoked_at, dict(signed))


def _releases(running: Iterable[RunningOs], every: Mapping[tuple[str, str], OsRelease]) -> list[dict[str, Any]]:
    """The operating systems that run, each once; ``attested`` is of how many devices a proof says so."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for each in running:
        release = every.get((each.chip, each.version))
        row = found.setdefault(
            (each.chip, each.version),
            {
                "kind": "release",
                "id": "" if release is None else str(release.release_id),
                "name": f"{each.chip} {each.version}",
                "feed": "" if release is None else release.feed,
                "signer": "" if release is None else release.signer,
                "published_at": None if release is None else release.published_at,
                "withdrawn_at": None if release is None else release.withdrawn_at,
                "devices": 0,
                "attested": 0,
            },
        )
        row["devices"] += each.devices
        row["attested"] += each.devices if each.attested else 0
    return sorted(found.values(), key=lambda row: (-row["devices"], row["name"]))


def _images(connection: Connection, product: Product) -> list[dict[str, Any]]:
    """The applications that run or are deployed; one that the catalog does not have bears its id alone."""
    running = rows.running_images(connection, product.product_id)
    deployed = rows.deployed_images(connection, product.product_id)
    wanted = {*running, *deployed}
    known = {each["image_id"]: each for each in rows.images(connection, product.catalog_id, wanted)}
    found = []
    for image_id in wanted:
        image = known.get(image_id, {})
        found.append(
            {
                "kind": "image",
                "id": str(image_id),
                "name": image.get("name", ""),
                "version": image.get("version", ""),
                "component_id": str(image["component_id"]) if image else "",
                "architecture": image.get("architecture", ""),
                "sha256": image.get("sha256", ""),
                "signer": image.get("signer", ""),
                "uploaded_at": image.get("uploaded_at"),
                "uploaded_by": image.get("uploaded_by", ""),
                "devices": running.get(image_id, 0),
                "deployed_to": deployed.get(image_id, []),
            }
        )
    return sorted(found, key=lambda row: (-row["devices"], row["name"], row["id"]))


def _group(group: DeviceGroup, devices: int) -> dict[str, Any]:
    return {
        "name": group.name,
        "country": group.country,
        "os_feed": group.os_feed,
        "update_policy": group.update_policy,
        "deployment_id": None if group.deployment_id is None else str(group.deployment_id),
        "devices": devices,
    }


def _devices(kinds: Iterable[ProductDevices]) -> dict[str, Any]:
    counts: dict[str, Counter[str]] = {"health": Counter(), "tiers": Counter(), "chips": Counter()}
    total = 0
    for each in kinds:
        total += each.devices
        for name, word in (("health", each.health), ("tiers", each.tier), ("chips", each.chip)):
            counts[name][word] += each.devices
    return {"count": total, **{name: dict(sorted(counter.items())) for name, counter in counts.items()}}


def _certificates(kinds: Iterable[ProductDevices]) -> dict[str, int | None]:
    some = [each for each in kinds if each.certified]
    return {
        "in_force": sum(each.certified for each in some),
        "next_end": min((each.next_end for each in some if each.next_end is not None), default=None),
        "last_end": max((each.last_end for each in some if each.last_end is not None), default=None),
    }


def _components(found: _Found) -> list[dict[str, Any]]:
    """Each component once, with the ids of the releases and images whose bill of materials lists it."""
    having: dict[int, list[str]] = {}
    for artifact_id, artifact in found.contents.items():
        if artifact.content is not None:
            having.setdefault(artifact.content.content_id, []).append(artifact_id)
    listed = []
    for each, contents in islice(found.components.items(), MAX_COMPONENTS):
        artifacts = [artifact_id for content in contents for artifact_id in having[content]]
        listed.append({**each._asdict(), "artifacts": artifacts[:MAX_HAVING], "count": len(artifacts)})
    return listed


def _with_coverage(row: Mapping[str, Any], known: Mapping[UUID, Mapping[str, Any]]) -> dict[str, Any]:
    """A release or image with what can be said of it; of one that nobody assessed nothing is known."""
    said = known.get(UUID(row["id"])) if row["id"] else None
    return {
        **row,
        "components": None if said is None else said["components"],
        "advisory_state": "unknown" if said is None else said["state"],
        "advisories_as_of": None if said is None else said["as_of"],
    }


def _targets(found: _Found, artifacts: Iterable[UUID]) -> list[str]:
    """What audit lines about a product are about."""
    path = f"{found.product.catalog}/{found.product.name}"
    groups = [f"{path}/{each.name}" for each in found.groups]
    deployments = [str(each.deployment_id) for each in found.groups if each.deployment_id is not None]
    return [path, *groups, *deployments, *sorted(map(str, artifacts)), *(each.serial for each in found.keys)]

# SPDX-License-Identifier: Apache-2.0
"""The values that come out of the records about advisories and about what runs where; times are Unix seconds UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from armillary.advisory.coverage import Freshness, freshness_of

# What a feed's records are. The first is of advisories, the next two say what is exploited, the others are VEX.
OSV, KEV, EPSS = "osv", "kev", "epss"
VEX_KINDS = ("openvex", "cyclonedx-vex", "csaf-vex")
FEED_KINDS = (OSV, KEV, EPSS, *VEX_KINDS)
# How a component stands to a version of an advisory, where that is kept: its version has no place in the order of its
# ecosystem, and ranges say nothing of it; such a version is listed, as text; it is listed or in a range.
OPEN, LISTED, AFFECTED = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedKey:
    """A key whose signature makes a bundle a feed's."""

    key_id: str  # SHA-256 of its SubjectPublicKeyInfo, hex
    name: str
    feed: str  # The only feed that it may sign; empty for all
    public_key: bytes  # DER SubjectPublicKeyInfo of a P-256 key
    added_at: int
    added_by: str
    revoked_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEdition:
    """One import of a feed."""

    feed: str
    edition: int
    source_url: str
    as_of: int  # When the records were fetched from their source
    sha256: bytes  # Of the records as they were packed, 32 bytes
    records: int
    refused: int  # Records that could not be read, and are in no answer
    ecosystems: tuple[str, ...]
    signer: str
    begun_at: int
    whole_at: int | None
    imported_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A feed with its edition in force; None before its first import is whole."""

    name: str
    kind: str  # One of :data:`FEED_KINDS`
    max_age_s: int
    current: FeedEdition | None

    def is_stale(self, now: int) -> bool:
        """Whether it says nothing about now: never whole, older than it may be, or from the future."""
        as_of = None if self.current is None else self.current.as_of
        return freshness_of(as_of, self.max_age_s, now) is not Freshness.FRESH


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvisoryVersion:
    """A record of a feed as it was in some of its editions."""

    version_id: int
    feed: str
    advisory_id: str
    digest: bytes
    published_at: int | None
    modified_at: int | None
    withdrawn_at: int | None
    summary: str
    severity: str  # A word of the record; empty where it has none
    cvss: float | None
    cvss_vector: str
    fixed: Mapping[str, tuple[str, ...]]  # Package -> versions that repair it
    from_edition: int
    until_edition: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploitation:
    """What is known of the exploitation of a CVE, each with its date."""

    cve: str
    kev_added_at: int | None
    kev_due_at: int | None
    epss: float | None
    epss_percentile: float | None
    epss_as_of: int | None

    def as_of(self, at: int) -> Exploitation:
        """What of it was so at a time: earlier scores are not kept, and an entry counts from the day of its source."""
        is_listed = self.kev_added_at is not None and self.kev_added_at <= at
        is_scored = self.epss_as_of is not None and self.epss_as_of <= at
        return Exploitation(
            cve=self.cve,
            kev_added_at=self.kev_added_at if is_listed else None,
            kev_due_at=self.kev_due_at if is_listed else None,
            epss=self.epss if is_scored else None,
            epss_percentile=self.epss_percentile if is_scored else None,
            epss_as_of=self.epss_as_of if is_scored else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentRow:
    """A package in a version, as bills of materials list it; ``unassessed`` says why it cannot be judged."""

    component_id: int
    ecosystem: str
    release: str  # Of a distribution; empty where it has none, or none is said
    package: str
    version: str
    purl: str
    unassessed: str
    compared: bool = True


@dataclass(frozen=True, slots=True)
class Pair:
    """How a component of a bill of materials stands to a version of an advisory."""

    content_id: int
    version_id: int
    component_id: int
    purl: str
    component_version: str
    answer: int  # OPEN, LISTED or AFFECTED
    goarch: tuple[str, ...]  # The only processors on which that holds; empty: all


@dataclass(frozen=True, slots=True, kw_only=True)
class BillContent:
    """What was read of a bill of materials."""

    content_id: int
    sha256: bytes
    components: int
    unassessed: int
    fault: str  # Why it could not be read; empty if it was
    read_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """What has a bill of materials, or should: an image of a catalog, or an OS release.

    ``content`` is None where it has no bill, or its bill was not read yet. ``known_at`` is when it was uploaded, or
    published.
    """

    catalog_id: UUID | None  # None for a release
    artifact_id: UUID
    name: str  # With the version beside it, of an image that has one
    architecture: str  # Of an image; empty for a release
    chip: str  # Of a release
    version: str  # Of a release
    content: BillContent | None
    sha256: bytes = b""  # Of an image's package; empty for a release
    known_at: int = 0
    bill_added_at: int | None = None

    def as_of(self, at: int) -> Artifact | None:
        """The same as it was known at a time: without a bill that came later; None if it came later itself."""
        if self.known_at > at:
            return None
        is_read = self.content is not None and max(self.content.read_at, self.bill_added_at or 0) <= at
        return self if is_read or self.content is None else replace(self, content=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class VexStatement:
    """What somebody says of a product and a vulnerability."""

    feed: str
    vulnerability: str
    product: str
    component: str  # The part of the product that is meant; empty: all of it
    state: str  # A word of ``wire.advisory.vex.Status``
    justification: str
    author: str
    stated_at: int | None

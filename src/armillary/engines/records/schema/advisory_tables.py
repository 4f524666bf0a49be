# SPDX-License-Identifier: Apache-2.0
"""The tables of advisories: feeds and their editions, records, what bills of materials list, and what is affected.

* An edition is one import. What is in force is of the feed's ``edition``: rows with ``from_edition`` <= it and
  ``until_edition`` null or above it. An import writes its rows in steps and then sets ``edition`` alone, so that what
  is cut short is never seen, and every edition of before can be asked for.
* A bill of materials is kept once for its contents (``bill_content``), whatever has it; a component once for its
  package and version. ``component_advisory`` says which components a version of an advisory affects: pairs of images
  and advisories are joined from it, and of devices there is no row here.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from armillary.engines.records.schema.tables import NAME_LENGTH, Number, metadata

ID_LENGTH = 128  # of an advisory's id or alias; the longest known are 40 characters
DIGEST_LENGTH = 64

# Whose signature makes a bundle a feed's: public keys of P-256 that an administrator has registered.
feed_key = Table(
    "feed_key",
    metadata,
    Column("key_id", String(DIGEST_LENGTH), primary_key=True),  # SHA-256 of the SubjectPublicKeyInfo, hex
    Column("name", String(NAME_LENGTH), nullable=False),
    Column("feed", String(NAME_LENGTH), nullable=False),  # the only feed that it signs; empty for all
    Column("public_key", LargeBinary, nullable=False),  # DER SubjectPublicKeyInfo
    Column("added_at", BigInteger, nullable=False),
    Column("added_by", Text, nullable=False),
    Column("revoked_at", BigInteger),
)

advisory_feed = Table(
    "advisory_feed",
    metadata,
    Column("name", String(NAME_LENGTH), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("edition", Integer, nullable=False),  # in force; 0 before the first is whole
    Column("max_age_s", BigInteger, nullable=False),  # older than this it is stale
)

feed_edition = Table(
    "feed_edition",
    metadata,
    Column("feed", String(NAME_LENGTH), ForeignKey("advisory_feed.name"), nullable=False),
    Column("edition", Integer, nullable=False, autoincrement=False),
    Column("source_url", Text, nullable=False),
    Column("as_of", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),  # of the records as they were packed
    Column("records", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),  # records that could not be read
    Column("ecosystems", Text, nullable=False),  # JSON: whose packages it speaks of
    Column("signer", String(DIGEST_LENGTH), ForeignKey("feed_key.key_id"), nullable=False),
    Column("begun_at", BigInteger, nullable=False),
    Column("whole_at", BigInteger),  # null: it was cut short, or is being imported
    Column("imported_by", Text, nullable=False),
    PrimaryKeyConstraint("feed", "edition"),
)

advisory_version = Table(
    "advisory_version",
    metadata,
    Column("version_id", Number, primary_key=True, autoincrement=True),
    Column("feed", String(NAME_LENGTH), ForeignKey("advisory_feed.name"), nullable=False),
    Column("advisory_id", String(ID_LENGTH), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("published_at", BigInteger),
    Column("modified_at", BigInteger),
    Column("withdrawn_at", BigInteger),
    Column("summary", Text, nullable=False),
    Column("severity", String(16), nullable=False),  # a word; empty for not said
    Column("cvss", Float),
    Column("cvss_vector", Text, nullable=False),
    Column("fixed", Text, nullable=False),  # JSON: package -> versions that repair it
    Column("from_edition", Integer, nullable=False),
    Column("until_edition", Integer),
    Column("document", LargeBinary, nullable=False),  # the record, deflated
    Index(None, "feed", "advisory_id", "until_edition"),
    Index(None, "advisory_id"),
)

advisory_alias = Table(
    "advisory_alias",
    metadata,
    Column("alias", String(ID_LENGTH), nullable=False),
    Column("version_id", Number, ForeignKey("advisory_version.version_id"), nullable=False),
    PrimaryKeyConstraint("alias", "version_id"),
    Index(None, "version_id"),
)

# Whose packages a version of an advisory is about: what a new component is compared with.
advisory_package = Table(
    "advisory_package",
    metadata,
    Column("ecosystem", String(64), nullable=False),
    Column("package", String(256), nullable=False),
    Column("version_id", Number, ForeignKey("advisory_version.version_id"), nullable=False),
    PrimaryKeyConstraint("ecosystem", "package", "version_id"),
    Index(None, "version_id"),
)

# Known exploitation and the probability of it, by CVE; each with the date of its source.
exploitation = Table(
    "exploitation",
    metadata,
    Column("cve", String(ID_LENGTH), primary_key=True),
    Column("kev_added_at", BigInteger),
    Column("kev_due_at", BigInteger),
    Column("kev_edition", Integer),
    Column("epss", Float),
    Column("epss_percentile", Float),
    Column("epss_as_of", BigInteger),
)

bill_content = Table(
    "bill_content",
    metadata,
    Column("content_id", Number, primary_key=True, autoincrement=True),
    Column("sha256", LargeBinary, nullable=False, unique=True),
    Column("components", Integer, nullable=False),
    Column("unassessed", Integer, nullable=False),  # components that no ecosystem's rules can judge
    Column("fault", Text, nullable=False),  # why it could not be read; empty if it was
    Column("read_at", BigInteger, nullable=False),
)

component = Table(
    "component",
    metadata,
    Column("component_id", Number, primary_key=True, autoincrement=True),
    Column("digest", LargeBinary, nullable=False, unique=True),  # of ecosystem, package, version and purl
    Column("ecosystem", String(64), nullable=False),  # empty: none that is known
    Column("release", String(64), nullable=False),  # of a distribution; empty where it has none, or none is said
    Column("package", String(256), nullable=False),
    Column("version", String(256), nullable=False),
    Column("purl", Text, nullable=False),
    Column("unassessed", Text, nullable=False),  # why it cannot be judged; empty if it can
    Column("compared", Boolean, nullable=False),  # whether its pairs with the advisories in force are recorded
    Index(None, "ecosystem", "package"),
)

bill_component = Table(
    "bill_component",
    metadata,
    Column("component_id", Number, ForeignKey("component.component_id"), nullable=False),
    Column("content_id", Number, ForeignKey("bill_content.content_id"), nullable=False),
    PrimaryKeyConstraint("component_id", "content_id"),
    Index(None, "content_id"),
)

component_advisory = Table(
    "component_advisory",
    metadata,
    Column("version_id", Number, ForeignKey("advisory_version.version_id"), nullable=False),
    Column("component_id", Number, ForeignKey("component.component_id"), nullable=False),
    Column("answer", Integer, nullable=False),  # OPEN, LISTED or AFFECTED (advisory_rows.py)
    Column("goarch", Text, nullable=False),  # the only processors on which that holds, in Go's words; empty: all
    PrimaryKeyConstraint("version_id", "component_id"),
    Index(None, "component_id"),
)

vex_statement = Table(
    "vex_statement",
    metadata,
    Column("statement_id", Number, primary_key=True, autoincrement=True),
    Column("feed", String(NAME_LENGTH), ForeignKey("advisory_feed.name"), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("vulnerability", String(ID_LENGTH), nullable=False),
    Column("product", Text, nullable=False),  # any of its names: a package URL, urn:uuid: and an id, sha256: and hex
    Column("component", Text, nullable=False),  # the part of it that is meant; empty: all of it
    Column("state", String(32), nullable=False),
    Column("justification", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("stated_at", BigInteger),
    Column("from_edition", Integer, nullable=False),
    Column("until_edition", Integer),
    UniqueConstraint("feed", "digest", "from_edition"),
    Index(None, "vulnerability"),
)

# SPDX-License-Identifier: Apache-2.0
"""The tables of updates of whole devices: releases, feeds, what each was told, when groups update; of ``schema.py``."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    false,
)

from armillary.engines.records.schema.tables import NAME_LENGTH, Number, metadata

os_release = Table(
    "os_release",
    metadata,
    Column("release_id", Uuid, primary_key=True),
    Column("chip", String(32), nullable=False),
    Column("version", String(64), nullable=False),
    Column("feed", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("withdrawn_at", BigInteger),
    Column("withdrawn_reason", Text),
    Column("imported_from", Text),  # id of the CoRIM that named its reference values; null: built here
    Column("os_abi", Integer, nullable=False, server_default="0"),
    Column("signed_at", BigInteger),
    Column("published_at", BigInteger),  # null: a draft, which is no reference value and given to nobody
    Column("signer", String(40), nullable=False, server_default=""),  # serial of its signing certificate
    # Its place among those that were published here, from 1; null: a draft, or an imported one, whose time counts.
    Column("publication", BigInteger),
    Column("is_stand_in", Boolean, nullable=False, server_default=false()),  # one of boot/virtual_chain's is in it
    UniqueConstraint("chip", "version"),
    Index(None, "publication", unique=True),
)

os_component = Table(
    "os_component",
    metadata,
    Column("release_id", Uuid, ForeignKey("os_release.release_id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("name", String(NAME_LENGTH), nullable=False),
    Column("image_type", Integer, nullable=False),
    Column("component_id", Uuid, nullable=False),
    Column("image_id", Uuid, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("security_version", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
)

security_floor = Table(
    "security_floor",
    metadata,
    Column("chip", String(32), primary_key=True),
    Column("image_type", Integer, primary_key=True, autoincrement=False),
    Column("minimum", Integer, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
)

# The last directive of each device that was ever given one; apart from device_status, which every check-in reads.
device_directive = Table(
    "device_directive",
    metadata,
    Column("device_number", Number, ForeignKey("device.number"), primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
)

# Of groups for which somebody has set one; the others have the defaults (update_rows.py).
update_schedule = Table(
    "update_schedule",
    metadata,
    Column("group_id", Uuid, ForeignKey("device_group.group_id"), primary_key=True),
    Column("check_interval_s", Integer),
    Column("zone", String(64), nullable=False),
    Column("windows", Text, nullable=False),  # a JSON list of texts
    Column("max_deferral_s", Integer, nullable=False),
    Column("urgent_until", BigInteger),
    Column("urgent_reason", Text, nullable=False),
)

# What devices should trust: trusted key stores and certificate stores, in the order in which they were made.
trust_store = Table(
    "trust_store",
    metadata,
    Column("kind", String(8), primary_key=True),  # keys | roots
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("trusted", Text, nullable=False),  # JSON: serials of certificates by their purpose
    Column("digest", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("in_force_at", BigInteger),
)

# The newest store of each kind as image packages: the same content, signed by each key that some device may trust.
trust_package = Table(
    "trust_package",
    metadata,
    Column("image_id", Uuid, primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("number", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("signed_by", String(40), nullable=False),
    ForeignKeyConstraint(["kind", "number"], ["trust_store.kind", "trust_store.number"]),
)

# OS feeds that operators made; Retail and RetailEval are always there.
os_feed = Table(
    "os_feed",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("follows", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
)

# What a release, or an image of a catalog, is made of: the newest document of each.
bill_of_materials = Table(
    "bill_of_materials",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("release_id", Uuid, ForeignKey("os_release.release_id"), unique=True),
    Column("catalog_id", Uuid),
    Column("image_id", Uuid),
    Column("sha256", LargeBinary, nullable=False, index=True),  # of the document, also its name in the blob folder
    Column("size", BigInteger, nullable=False),
    Column("spec_version", String(8), nullable=False),
    Column("components", Integer, nullable=False),
    Column("added_at", BigInteger, nullable=False),
    Column("added_by", Text, nullable=False),
    ForeignKeyConstraint(["catalog_id", "image_id"], ["image.catalog_id", "image.image_id"]),
    UniqueConstraint("catalog_id", "image_id"),
)

# What a device has fetched from here since its last check-in that fetched something.
device_fetch = Table(
    "device_fetch",
    metadata,
    Column("device_number", Number, ForeignKey("device.number"), primary_key=True, autoincrement=False),
    Column("check_in", String(40), nullable=False),  # the serial number of that check-in's certificate
    Column("begun_at", BigInteger, nullable=False),
    Column("sent", Text, nullable=False),  # JSON: SHA-256 in hex of each that was sent to its end -> when
)

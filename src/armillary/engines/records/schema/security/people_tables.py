# SPDX-License-Identifier: Apache-2.0
"""The tables of people, grants, catalogs' people, tokens' passkeys, and of what people keep of the console's tables."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, String, Table, Text, UniqueConstraint, Uuid

from armillary.engines.records.schema.tables import metadata

person = Table(
    "person",
    metadata,
    Column("person_id", Uuid, primary_key=True),
    Column("login", Text, nullable=False),  # what the audit log calls the person; never changes
    Column("login_key", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),  # "" before the first sign-in, unless an administrator gave one
    Column("email", Text, unique=True),  # lower case
    Column("issuer", Text),  # null, as is the subject, before the first sign-in of somebody invited by address
    Column("subject", String(255)),
    Column("state", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("signed_in_at", BigInteger),
    Column("invited_for", Uuid),  # the catalog whose administrator invited the person; null: not one of one catalog
    UniqueConstraint("issuer", "subject"),
)

# A person as one catalog knows one: its administrators see this, and nothing that others know of the person.
catalog_person = Table(
    "catalog_person",
    metadata,
    Column("entry_id", Uuid, primary_key=True),  # what the catalog's administrators call by "person id"
    Column("catalog_id", Uuid, nullable=False),
    Column("person_id", Uuid, ForeignKey("person.person_id"), nullable=False),
    Column("known_as", Text, nullable=False),  # as whoever granted there named the person
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("acted_at", BigInteger),  # when the person last began to act by a grant there
    UniqueConstraint("catalog_id", "person_id"),
    Index(None, "person_id"),
)

person_grant = Table(
    "person_grant",
    metadata,
    Column("grant_id", Uuid, primary_key=True),
    Column("person_id", Uuid, ForeignKey("person.person_id"), nullable=False),
    Column("role", String(16), nullable=False),
    Column("catalog_id", Uuid),  # the only catalog; null: all
    Column("organisation", String(128)),  # the only organisation of that catalog; null: all
    Column("origin", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Index(None, "person_id"),
)

# A table of the console as somebody has saved it: filters, order and columns, as its address says them.
table_view = Table(
    "table_view",
    metadata,
    Column("view_id", Uuid, primary_key=True),
    Column("owner", Uuid, nullable=False),  # of the person, or of the token
    Column("scope", Text, nullable=False),  # what the owner spoke for: catalog and organisation; "" for all
    Column("place", Text, nullable=False),  # path of the page
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("owner", "scope", "place", "name_key"),
)

# The columns of a table that somebody last chose, with commas between.
table_columns = Table(
    "table_columns",
    metadata,
    Column("owner", Uuid, primary_key=True),
    Column("place", Text, primary_key=True),
    Column("shown", Text, nullable=False),
)

passkey = Table(
    "passkey",
    metadata,
    Column("passkey_id", Uuid, primary_key=True),
    Column("token_id", Uuid, ForeignKey("token.token_id"), nullable=False),
    Column("name", String(64), nullable=False),
    Column("credential_id", LargeBinary, nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),  # COSE_Key
    Column("sign_count", BigInteger, nullable=False),  # of its last answer; 0 for one that does not count
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Index(None, "token_id"),
)

# A code opens the second step once instead of a passkey; used ones are deleted.
recovery_code = Table(
    "recovery_code",
    metadata,
    Column("token_id", Uuid, ForeignKey("token.token_id"), primary_key=True),
    Column("code_hash", LargeBinary, primary_key=True),  # SHA-256
)

# SPDX-License-Identifier: Apache-2.0
"""The maps of a CoRIM, field by field: how each one that fits is read; ``wire/corim.py`` has the whole.

One table per map of the draft's CDDL, from key to the field's name there. A field without a reader is known and does
not fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from armillary.wire.cbor_cursor import BYTES, UINT, Cursor, Fields
from armillary.wire.cbor_fields import MAX_TIME

WHAT: Final = "CoRIM"
# A chain of 64 components with the longest names has 14 KiB; wire/cose.py reads messages of 16 KiB.
MAX_CORIM_BYTES: Final = 16 * 1024
MAX_COMPONENTS: Final = 64
MAX_ENTITIES: Final = 8
MAX_NAME_BYTES: Final = 64
MAX_VERSION_BYTES: Final = 32
MAX_CHIP_BYTES: Final = 32
MAX_URI_BYTES: Final = 256
MAX_IMAGE_TYPE: Final = 0xFFFF
MAX_SECURITY_VERSION: Final = 31  # a 32-bit fuse word (wire/image_section.py)

TAG_UNSIGNED, TAG_COMID, TAG_UUID, TAG_TIME, TAG_URI, TAG_SVN = 501, 506, 37, 1, 32, 552
SHA256: Final = 1  # Named Information Hash Algorithm Registry
_DIGEST_BYTES: Final = 32
_ROLES: Final = 2  # tag-creator 0, creator 1, maintainer 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceClaim:
    """One reference triple: a known good boot component.

    Attributes:
        layer: Its place in the boot chain, from 0.
        digest: SHA-256 of the whole image package, 32 bytes.
        vendor: Who makes it; None if the triple does not say.
    """

    component_id: UUID
    image_type: int
    layer: int
    name: str
    image_id: UUID
    security_version: int
    digest: bytes
    vendor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """Who had a part in the tag; ``roles``: 0 tag-creator, 1 creator, 2 maintainer."""

    name: str
    roles: tuple[int, ...]
    uri: str | None = None


def _read_id(cursor: Cursor) -> UUID | str:
    if cursor.next_is(BYTES):
        return UUID(bytes=cursor.byte_string("an id", limit=16, size=16))
    return cursor.text("an id", limit=MAX_NAME_BYTES)


def _read_time(cursor: Cursor) -> int:
    cursor.tag(TAG_TIME, "a time")
    return cursor.uint("a time", MAX_TIME)


def _read_uri(cursor: Cursor) -> str:
    cursor.tag(TAG_URI, "a URI")
    return cursor.text("a URI", limit=MAX_URI_BYTES)


def _read_validity(cursor: Cursor) -> dict[int, Any]:
    return cursor.map("validity-map", _VALIDITY, required=frozenset({1}))


def _read_entities(cursor: Cursor) -> tuple[Entity, ...]:
    found = []
    for _ in range(cursor.array("entities", limit=MAX_ENTITIES)):
        one = cursor.map("entity-map", _ENTITY, required=frozenset({0, 2}))
        found.append(Entity(name=one[0], roles=one[2], uri=one.get(1)))
    return tuple(found)


def _read_roles(cursor: Cursor) -> tuple[int, ...]:
    return tuple(cursor.uint("a role", _ROLES) for _ in range(cursor.array("roles", limit=_ROLES + 1)))


def _read_tags(cursor: Cursor) -> Any:
    cursor.array("tags: one concise-mid-tag", limit=1)
    number = cursor.next_tag()
    if number in _OTHER_TAGS:
        raise cursor.fault("a concise-mid-tag (tag 506)", f"a {_OTHER_TAGS[number]}, which does not fit")
    cursor.tag(TAG_COMID, "a concise-mid-tag")
    content = cursor.byte_string("a concise-mid-tag", limit=MAX_CORIM_BYTES)
    inner = Cursor(content, WHAT, base=cursor.base + cursor.at - len(content))
    found = inner.map("concise-mid-tag", _COMID_FIELDS, required=frozenset({1, 4}))
    inner.end()
    chip, version, components = found[4][0]
    return found[1][0], found.get(2, ()), chip, version, components


def _read_triples(cursor: Cursor) -> tuple[str, str, tuple[ReferenceClaim, ...]]:
    """Chip, version and components of the reference triples, in boot order."""
    release: tuple[str, str] | None = None
    claims: list[ReferenceClaim] = []
    for _ in range(cursor.array("reference-triples", limit=MAX_COMPONENTS)):
        start = cursor.at
        chip, version, claim = _read_triple(cursor)
        if release not in (None, (chip, version)):
            raise cursor.fault("triples of one chip and one version", f"{chip} {version} after {release}", at=start)
        if claim.layer != len(claims):
            raise cursor.fault(f"layer {len(claims)}: the triples in boot order", f"layer {claim.layer}", at=start)
        if any(claim.component_id == one.component_id for one in claims):
            raise cursor.fault("each component once", f"{claim.component_id} again", at=start)
        release = chip, version
        claims.append(claim)
    if release is None:
        raise cursor.fault("a reference triple", "none")
    return (*release, tuple(claims))


def _read_triple(cursor: Cursor) -> tuple[str, str, ReferenceClaim]:
    start = cursor.at
    if cursor.array("a reference triple of 2 items", limit=2) != 2:
        raise cursor.fault("a reference triple of 2 items", "1", at=start)
    place = cursor.map("environment-map", _ENVIRONMENT, required=frozenset({0}))[0]
    cursor.array("one measurement of a component", limit=1)
    measured = cursor.map("measurement-map", _MEASUREMENT, required=frozenset({0, 1}))
    values = measured[1]
    claim = ReferenceClaim(
        component_id=place[0],
        image_type=measured[0],
        layer=place[3],
        name=values[11],
        image_id=values[10],
        security_version=values[1],
        digest=values[2],
        vendor=place.get(1),
    )
    return place[2], values[0][0], claim


def _read_svn(cursor: Cursor) -> int:
    number = cursor.next_tag()
    if number == 553:
        raise cursor.fault("an exact svn", "a min-svn, which does not fit")
    if number is not None:
        cursor.tag(TAG_SVN, "an svn")
    return cursor.uint("an svn", MAX_SECURITY_VERSION)


def _read_class_id(cursor: Cursor) -> UUID:
    cursor.tag(TAG_UUID, "a class-id that is a UUID")
    return _read_uuid(cursor)


def _read_uuid(cursor: Cursor) -> UUID:
    return UUID(bytes=cursor.byte_string("a UUID", limit=16, size=16))


def _read_digest(cursor: Cursor) -> bytes:
    cursor.array("digests: SHA-256 alone", limit=1)
    start = cursor.at
    if cursor.array("a digest of 2 items", limit=2) != 2:
        raise cursor.fault("a digest of 2 items", "1", at=start)
    if not cursor.next_is(UINT) or cursor.uint("a digest algorithm", 2**63) != SHA256:
        raise cursor.fault("digest algorithm 1 (SHA-256)", "another, which does not fit", at=start)
    return cursor.byte_string("a SHA-256", limit=_DIGEST_BYTES, size=_DIGEST_BYTES)


_OTHER_TAGS: Final = {505: "concise-swid-tag", 508: "concise-tl-tag"}
_VALIDITY: Final[Fields] = {0: ("not-before", _read_time), 1: ("not-after", _read_time)}
_ENTITY: Final[Fields] = {
    0: ("entity-name", lambda c: c.text("an entity-name", limit=MAX_NAME_BYTES)),
    1: ("reg-id", _read_uri),
    2: ("role", _read_roles),
}
_SIGNER: Final[Fields] = {
    0: ("signer-name", lambda c: c.text("a signer-name", limit=MAX_NAME_BYTES)),
    1: ("signer-uri", _read_uri),
}
META_MAP: Final[Fields] = {
    0: ("signer", lambda c: c.map("corim-signer-map", _SIGNER, required=frozenset({0}))),
    1: ("signature-validity", _read_validity),
}
_VERSION: Final[Fields] = {
    0: ("version", lambda c: c.text("a version", limit=MAX_VERSION_BYTES)),
    1: ("version-scheme", None),
}
_VALUES: Final[Fields] = {
    0: ("version", lambda c: c.map("version-map", _VERSION, required=frozenset({0}))),
    1: ("svn", _read_svn),
    2: ("digests", _read_digest),
    3: ("flags", None),
    4: ("raw-value", None),
    5: ("raw-value-mask", None),
    6: ("mac-addr", None),
    7: ("ip-addr", None),
    8: ("serial-number", None),
    9: ("ueid", None),
    10: ("uuid", _read_uuid),
    11: ("name", lambda c: c.text("a name", limit=MAX_NAME_BYTES)),
    13: ("cryptokeys", None),
    14: ("integrity-registers", None),
    15: ("int-range", None),
}
_MEASUREMENT: Final[Fields] = {
    0: ("mkey", lambda c: c.uint("an mkey that is an image type", MAX_IMAGE_TYPE)),
    1: ("mval", lambda c: c.map("measurement-values-map", _VALUES, required=frozenset({0, 1, 2, 10, 11}))),
    2: ("authorized-by", None),
}
_CLASS: Final[Fields] = {
    0: ("class-id", _read_class_id),
    1: ("vendor", lambda c: c.text("a vendor", limit=MAX_NAME_BYTES)),
    2: ("model", lambda c: c.text("a model that is a chip profile", limit=MAX_CHIP_BYTES)),
    3: ("layer", lambda c: c.uint("a layer", MAX_COMPONENTS - 1)),
    4: ("index", None),
}
_ENVIRONMENT: Final[Fields] = {
    0: ("class", lambda c: c.map("class-map", _CLASS, required=frozenset({0, 2, 3}))),
    1: ("instance", None),
    2: ("group", None),
}
_TRIPLES: Final[Fields] = {
    0: ("reference-triples", _read_triples),
    1: ("endorsed-triples", None),
    2: ("identity-triples", None),
    3: ("attest-key-triples", None),
    4: ("dependency-triples", None),
    5: ("membership-triples", None),
    6: ("coswid-triples", None),
    8: ("conditional-endorsement-series-triples", None),
    10: ("conditional-endorsement-triples", None),
}
_TAG_IDENTITY: Final[Fields] = {
    0: ("tag-id", _read_id),
    1: ("tag-version", lambda c: c.uint("a tag-version (a release never changes)", 0)),
}
_COMID_FIELDS: Final[Fields] = {
    0: ("language", None),
    1: ("tag-identity", lambda c: c.map("tag-identity-map", _TAG_IDENTITY, required=frozenset({0}))),
    2: ("entities", _read_entities),
    3: ("linked-tags", None),
    4: ("triples", lambda c: c.map("triples-map", _TRIPLES, required=frozenset({0}))),
}
CORIM_MAP: Final[Fields] = {
    0: ("id", _read_id),
    1: ("tags", _read_tags),
    2: ("dependent-rims", None),
    3: ("profile", None),
    4: ("rim-validity", _read_validity),
    5: ("entities", None),
}

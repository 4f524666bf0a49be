# SPDX-License-Identifier: Apache-2.0
"""Reads the maps of a CoRIM field by field; ``wire/attestation/corim.py`` reads the whole.

One form per map of the draft's CDDL, with the draft's names. A field without a reader concerns which reference values
hold and cannot be followed here, so it is refused. Fields that do not concern them are skipped and named in
``Cursor.passed``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

from armillary.wire.encoding.cbor_cursor import BYTES, TEXT, Cursor, MapForm, Reader, content_of
from armillary.wire.encoding.cbor_fields import MAX_TIME

WHAT: Final = "CoRIM"
# A chain of 64 components with the longest names has 14 KiB; wire/encoding/cose.py reads messages of 16 KiB.
MAX_CORIM_BYTES: Final = 16 * 1024
MAX_COMPONENTS: Final = 64
MAX_ENTITIES: Final = 8
MAX_TAGS: Final = 64
MAX_DIGESTS: Final = 8  # one per algorithm of the registry that is in use
MAX_PASSED: Final = 4096  # items of one list that is passed over: a CoRIM has 16 KiB
MAX_NAME_BYTES: Final = 64
MAX_VERSION_BYTES: Final = 32
MAX_CHIP_BYTES: Final = 64  # models of others are longer than names of chip profiles
MAX_URI_BYTES: Final = 256
MAX_IMAGE_TYPE: Final = 0xFFFF
MAX_SECURITY_VERSION: Final = 31  # a 32-bit fuse word (wire/image/section.py)

TAG_UNSIGNED, TAG_COMID, TAG_UUID, TAG_TIME, TAG_URI, TAG_OID, TAG_SVN = 501, 506, 37, 1, 32, 111, 552
SHA256: Final = 1  # Named Information Hash Algorithm Registry
SHA256_NAME: Final = "sha-256"  # the same registry's name of it
# Fields that an operator may have skipped by name: they describe a component that its digest already identifies, or are
# defined by a profile. What widens or narrows the value itself (a mask, flags, a minimum, a range) or restricts it to
# some devices (instance, group) is never skipped.
WAIVABLE: Final = ("cryptokeys", "authorized-by", "index")
PROFILE_FIELD: Final = re.compile(r"key -[0-9]{1,20}")
_DIGEST_BYTES: Final = 32
_ROLES: Final = 2  # tag-creator 0, creator 1, maintainer 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceClaim:
    """One measurement of a reference triple: a known good boot component. None where the file has no such field."""

    component_id: UUID | None  # of the class; None also where several measurements share the class
    image_type: int | None  # an ``mkey`` that is a number
    layer: int | None  # place in the boot chain, from 0
    name: str | None
    image_id: UUID | None
    security_version: int | None
    digest: bytes  # SHA-256 of the whole image package, 32 bytes
    vendor: str | None = None
    element: UUID | str | None = None  # an ``mkey`` that is a UUID or a name


class Measured(NamedTuple):
    """A claim, the chip and version of its triple, and the triple's offset in the input, bytes."""

    claim: ReferenceClaim
    chip: str | None
    version: str | None
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """An organisation that took part in the tag; ``roles``: 0 tag-creator, 1 creator, 2 maintainer."""

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


def _read_entities(cursor: Cursor) -> tuple[Entity, ...]:
    found = []
    for _ in range(cursor.array("entities", limit=MAX_ENTITIES)):
        one = _ENTITY(cursor)
        found.append(Entity(name=one[0], roles=one[2], uri=one.get(1)))
    return tuple(found)


def _read_roles(cursor: Cursor) -> tuple[int, ...]:
    return tuple(cursor.uint("a role", _ROLES) for _ in range(cursor.array("roles", limit=_ROLES + 1)))


def _read_tags(cursor: Cursor) -> Any:
    """The first CoMID's id and entities, and what is measured in all of them."""
    identity: UUID | str | None = None
    entities: tuple[Entity, ...] = ()
    measured: list[Measured] = []
    for _ in range(cursor.array("tags", limit=MAX_TAGS)):
        number = cursor.next_tag()
        if number in _OTHER_TAGS:
            cursor.skip()
            cursor.passed.append(f"a {_OTHER_TAGS[number]}")
            continue
        cursor.tag(TAG_COMID, "a concise-mid-tag")
        inner = content_of(cursor, "a concise-mid-tag", limit=MAX_CORIM_BYTES)
        found = _COMID(inner)
        inner.end()
        if identity is None:
            identity, entities = found[1][0], found.get(2, ())
        else:
            cursor.passed.append(f"the tag-id {found[1][0]} of a further concise-mid-tag")
        measured += found[4].get(0, ())
        if len(measured) > MAX_COMPONENTS:
            raise cursor.fault(f"at most {MAX_COMPONENTS} measurements", f"{len(measured)}")
    if identity is None or not measured:
        held = ", ".join(cursor.passed) or "nothing"
        raise cursor.fault("reference-triples with the digests of boot components", f"none; it holds {held}"[:400])
    return identity, entities, measured


def _read_triples(cursor: Cursor) -> tuple[Measured, ...]:
    count = cursor.array("reference-triples", limit=MAX_COMPONENTS)
    return tuple(one for _ in range(count) for one in _read_triple(cursor))


def _read_triple(cursor: Cursor) -> tuple[Measured, ...]:
    start = cursor.at
    if cursor.array("a reference triple of 2 items", limit=2) != 2:
        raise cursor.fault("a reference triple of 2 items", "1", at=start)
    place = _ENVIRONMENT(cursor)[0]
    count = cursor.array("measurements", limit=MAX_COMPONENTS)
    class_id = place.get(0)
    if class_id is not None and count > 1:
        cursor.passed.append(f"class-id {class_id}, which {count} measurements share")
        class_id = None
    found: list[Measured] = []
    for _ in range(count):
        at = cursor.at
        measured = _MEASUREMENT(cursor)
        key, values = measured.get(0), measured[1]
        claim = ReferenceClaim(
            component_id=class_id,
            image_type=key if isinstance(key, int) else None,
            layer=place.get(3),
            name=values.get(11),
            image_id=values.get(10),
            security_version=values.get(1),
            digest=values[2],
            vendor=place.get(1),
            element=None if isinstance(key, int) else key,
        )
        version = values.get(0, {}).get(0)
        if any(_is_alternative(one, claim, version) for one in found):
            raise cursor.fault("one version of each component", f"{version} beside another, an alternative", at=at)
        found.append(Measured(claim, place.get(2), version, cursor.base + start))
    return tuple(found)


def _is_alternative(one: Measured, claim: ReferenceClaim, version: str | None) -> bool:
    """Whether two measurements of a triple are of one element in two versions: either may be there, not both."""
    same = (one.claim.image_type, one.claim.element) == (claim.image_type, claim.element)
    return same and (one.version != version or claim.image_type is not None)


def _read_svn(cursor: Cursor) -> int:
    number = cursor.next_tag()
    if number == 553:
        raise cursor.fault("an exact svn", "a min-svn, which does not fit")
    if number is not None:
        cursor.tag(TAG_SVN, "an svn")
    return cursor.uint("an svn", MAX_SECURITY_VERSION)


def _read_class_id(cursor: Cursor) -> UUID | None:
    number = cursor.next_tag()
    if number in _CLASS_IDS:
        start = cursor.base + cursor.at
        cursor.skip()
        cursor.passed.append(f"class-id that is {_CLASS_IDS[number]}, at byte {start}")
        return None
    cursor.tag(TAG_UUID, "a class-id that is a UUID, OID, number, bytes or implementation id")
    return _read_uuid(cursor)


def _read_mkey(cursor: Cursor) -> int | UUID | str | None:
    if cursor.next_is(TEXT):
        return cursor.text("an mkey", limit=MAX_NAME_BYTES)
    number = cursor.next_tag()
    if number is None:
        return cursor.uint("an mkey that is an image type, a UUID or a name", MAX_IMAGE_TYPE)
    if number == TAG_OID:
        cursor.skip()
        cursor.passed.append("mkey that is an OID")
        return None
    cursor.tag(TAG_UUID, "an mkey that is an image type, a UUID or a name")
    return _read_uuid(cursor)


def _read_uuid(cursor: Cursor) -> UUID:
    return UUID(bytes=cursor.byte_string("a UUID", limit=16, size=16))


def _read_digests(cursor: Cursor) -> bytes:
    """The SHA-256 among the digests; those of other algorithms are of the same bytes and are skipped."""
    start = cursor.at
    found: bytes | None = None
    others: list[str] = []
    for _ in range(cursor.array("digests", limit=MAX_DIGESTS)):
        at = cursor.at
        if cursor.array("a digest of 2 items", limit=2) != 2:
            raise cursor.fault("a digest of 2 items", "1", at=at)
        algorithm: int | str
        if cursor.next_is(TEXT):
            algorithm = cursor.text("a digest algorithm", limit=MAX_NAME_BYTES)
        else:
            algorithm = cursor.integer("a digest algorithm")
        if algorithm not in (SHA256, SHA256_NAME):
            cursor.skip()
            others.append(f"a digest of algorithm {algorithm}")
            continue
        if found is not None:
            raise cursor.fault("one SHA-256", "a second one", at=at)
        found = cursor.byte_string("a SHA-256", limit=_DIGEST_BYTES, size=_DIGEST_BYTES)
    if found is None:
        raise cursor.fault("a digest of algorithm 1 (SHA-256)", f"only {', '.join(others)}", at=start)
    cursor.passed += others
    return found


def _read_profile(cursor: Cursor) -> None:
    number = cursor.next_tag()
    if number == TAG_OID:
        cursor.skip()
        cursor.passed.append("profile, an OID")
    else:
        cursor.passed.append(f"profile {_read_uri(cursor)}")


def _read_tag_version(cursor: Cursor) -> None:
    number = cursor.uint("a tag-version", 2**63 - 1)
    if number:
        cursor.passed.append(f"tag-version {number}")


def _pass_over(name: str) -> Reader:
    """A reader that skips one item and notes its name."""

    def read(cursor: Cursor) -> None:
        cursor.skip()
        cursor.passed.append(name)

    return read


def _pass_over_list(name: str) -> Reader:
    """A reader that skips a list, which may be empty, and notes its length."""

    def read(cursor: Cursor) -> None:
        count = cursor.array(name, limit=MAX_PASSED, least=0)
        for _ in range(count):
            cursor.skip()
        cursor.passed.append(f"{count} {name}")

    return read


# What a class-id may be instead of a UUID: it names no boot component of a chip profile.
_CLASS_IDS: Final = {TAG_OID: "an OID", 551: "a number", 560: "bytes", 600: "an implementation id"}
_OTHER_TAGS: Final = {505: "concise-swid-tag", 508: "concise-tl-tag"}
_VALIDITY: Final = MapForm(
    "validity-map", {0: ("not-before", _read_time), 1: ("not-after", _read_time)}, required=frozenset({1})
)
_ENTITY: Final = MapForm(
    "entity-map",
    {
        0: ("entity-name", lambda c: c.text("an entity-name", limit=MAX_NAME_BYTES)),
        1: ("reg-id", _read_uri),
        2: ("role", _read_roles),
    },
    required=frozenset({0, 2}),
    extensible=True,
)
_SIGNER: Final = MapForm(
    "corim-signer-map",
    {0: ("signer-name", lambda c: c.text("a signer-name", limit=MAX_NAME_BYTES)), 1: ("signer-uri", _read_uri)},
    required=frozenset({0}),
)
META_MAP: Final = MapForm(
    "corim-meta-map", {0: ("signer", _SIGNER), 1: ("signature-validity", _VALIDITY)}, required=frozenset({0})
)
_VERSION: Final = MapForm(
    "version-map",
    {
        0: ("version", lambda c: c.text("a version", limit=MAX_VERSION_BYTES)),
        1: ("version-scheme", _pass_over("version-scheme")),  # versions are compared as text
    },
    required=frozenset({0}),
)
_VALUES: Final = MapForm(
    "measurement-values-map",
    {
        0: ("version", _VERSION),
        1: ("svn", _read_svn),
        2: ("digests", _read_digests),
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
    },
    required=frozenset({2}),
)
_MEASUREMENT: Final = MapForm(
    "measurement-map",
    {0: ("mkey", _read_mkey), 1: ("mval", _VALUES), 2: ("authorized-by", None)},
    required=frozenset({1}),
)
_CLASS: Final = MapForm(
    "class-map",
    {
        0: ("class-id", _read_class_id),
        1: ("vendor", lambda c: c.text("a vendor", limit=MAX_NAME_BYTES)),
        2: ("model", lambda c: c.text("a model", limit=MAX_CHIP_BYTES)),
        3: ("layer", lambda c: c.uint("a layer", MAX_COMPONENTS - 1)),
        4: ("index", None),
    },
)
_ENVIRONMENT: Final = MapForm(
    "environment-map", {0: ("class", _CLASS), 1: ("instance", None), 2: ("group", None)}, required=frozenset({0})
)
_TRIPLES: Final = MapForm(
    "triples-map",
    {
        0: ("reference-triples", _read_triples),
        1: ("endorsed-triples", _pass_over_list("endorsed-triples")),
        2: ("identity-triples", _pass_over_list("identity-triples")),
        3: ("attest-key-triples", _pass_over_list("attest-key-triples")),
        4: ("dependency-triples", _pass_over_list("dependency-triples")),
        5: ("membership-triples", _pass_over_list("membership-triples")),
        6: ("coswid-triples", _pass_over_list("coswid-triples")),
        8: ("conditional-endorsement-series-triples", _pass_over_list("conditional-endorsement-series-triples")),
        10: ("conditional-endorsement-triples", _pass_over_list("conditional-endorsement-triples")),
    },
)
_TAG_IDENTITY: Final = MapForm(
    "tag-identity-map", {0: ("tag-id", _read_id), 1: ("tag-version", _read_tag_version)}, required=frozenset({0})
)
_COMID: Final = MapForm(
    "concise-mid-tag",
    {
        0: ("language", _pass_over("language")),
        1: ("tag-identity", _TAG_IDENTITY),
        2: ("entities", _read_entities),
        3: ("linked-tags", _pass_over_list("linked-tags")),
        4: ("triples", _TRIPLES),
    },
    required=frozenset({1, 4}),
)
CORIM_MAP: Final = MapForm(
    "corim-map",
    {
        0: ("id", _read_id),
        1: ("tags", _read_tags),
        2: ("dependent-rims", _pass_over_list("dependent-rims")),
        3: ("profile", _read_profile),
        4: ("rim-validity", _VALIDITY),
        5: ("entities", _pass_over_list("entities of the corim-map")),
    },
    required=frozenset({0, 1}),
)

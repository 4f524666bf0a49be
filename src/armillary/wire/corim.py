# SPDX-License-Identifier: Apache-2.0
"""CoRIM, the subset that a release of ours fits into: one CoMID with one reference triple per boot component.

::

    501({ 0: corim-id, 1: [506(<< comid >>)], ? 4: validity })                      unsigned
    18([<< {1: -7, 3: "application/rim+cbor", ? 4: kid, 8: << meta >>} >>, {}, << 501(...) >>, signature])    signed
    comid = { 1: {0: tag-id, ? 1: 0}, ? 2: [+ entity], 4: {0: [+ reference triple]} }
    reference triple = [ {0: {0: 37(component id), ? 1: vendor, 2: chip, 3: layer}},
                         [ {0: image type, 1: {0: {0: OS version}, 1: 552(security version), 2: [[1, SHA-256]],
                                               10: image id, 11: name}} ] ]

``class-id`` is the component, ``model`` the chip profile, ``layer`` its place in the boot chain from 0, ``mkey`` the
image type. All triples are of one chip and one version: they are one release. Every other field is refused by its name
in the draft: a value that is dropped could be the one that limits the others.

Specification: draft-ietf-rats-corim (CDDL of 2026-08), RFC 8949 §4.2.1 encoding; RFC 9052 §4.2 with ES256.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from armillary.errors import WireError
from armillary.wire import cbor, cose
from armillary.wire.cbor_cursor import ARRAY, BYTES, MAP, TAG, UINT, Cursor, Fields, head
from armillary.wire.cbor_fields import MAX_TIME

WHAT: Final = "CoRIM"
MEDIA_TYPE: Final = "application/rim+cbor"
# A chain of 64 components with the longest names has 14 KiB; wire/cose.py reads messages of 16 KiB.
MAX_CORIM_BYTES: Final = 16 * 1024
MAX_COMPONENTS: Final = 64
MAX_ENTITIES: Final = 8
MAX_NAME_BYTES: Final = 64
MAX_VERSION_BYTES: Final = 32
MAX_CHIP_BYTES: Final = 32
MAX_URI_BYTES: Final = 256
MAX_KEY_ID_BYTES: Final = 64
MAX_IMAGE_TYPE: Final = 0xFFFF
MAX_SECURITY_VERSION: Final = 31  # a 32-bit fuse word (wire/image_section.py)

_UNSIGNED, _COMID, _UUID, _TIME, _URI, _SVN = 501, 506, 37, 1, 32, 552
_SHA256: Final = 1  # Named Information Hash Algorithm Registry
_DIGEST_BYTES: Final = 32
_ROLES: Final = 2  # tag-creator 0, creator 1, maintainer 2
_SIGN1_TAG: Final = 0xD2
_HEADERS: Final = {cose.HEADER_ALGORITHM: "alg", 3: "content-type", 4: "kid", 8: "corim-meta"}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Corim:
    """The reference values of one release on one chip.

    Attributes:
        corim_id: UUID, or a name.
        tag_id: UUID, or a name.
        components: In boot order.
        not_before: Unix seconds UTC, None if it does not say; only together with ``not_after``.
        not_after: Unix seconds UTC, None for no end.
    """

    corim_id: UUID | str
    tag_id: UUID | str
    chip: str
    os_version: str
    components: tuple[ReferenceClaim, ...]
    entities: tuple[Entity, ...] = ()
    not_before: int | None = None
    not_after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedSignedCorim:
    """A parsed signed CoRIM whose signature nobody has checked.

    Attributes:
        message: The COSE_Sign1.
        corim: What it claims.
        signer: Who says it has signed.
        signer_uri: Its address, None if it does not say.
        key_id: Its key's, empty if it does not say.
        not_before: From when the signature is meant to count, None if it does not say.
        not_after: Until when, None if it does not say.
    """

    message: cose.UnverifiedSign1
    corim: Corim
    signer: str
    signer_uri: str | None = None
    key_id: bytes = b""
    not_before: int | None = None
    not_after: int | None = None


def is_signed(data: bytes) -> bool:
    """Whether bytes begin as the signed form does."""
    return data[:1] == bytes((_SIGN1_TAG,))


def encode_corim(corim: Corim) -> bytes:
    """The unsigned form.

    Raises:
        WireError: a field is out of its limits.
    """
    comid = {
        1: {0: _id(corim.tag_id)},
        **({2: [_entity_fields(one) for one in corim.entities]} if corim.entities else {}),
        4: {0: [_triple_fields(corim, claim) for claim in corim.components]},
    }
    body: dict[int, Any] = {0: _id(corim.corim_id), 1: [_Tagged(_COMID, _encode(comid))]}
    if corim.not_after is not None or corim.not_before is not None:
        body[4] = _validity_fields(corim.not_before, corim.not_after)
    data = _encode(_Tagged(_UNSIGNED, body))
    parse_corim(data)  # better refused here than by who reads it
    return data


def parse_corim(data: bytes, *, base: int = 0) -> Corim:
    """Parse the unsigned form.

    Args:
        data: The encoded CoRIM, nothing after it.
        base: Its offset in the input that errors count from.

    Raises:
        WireError: not deterministic CBOR, not a CoRIM, or one with a field that does not fit, which it names.
    """
    if len(data) > MAX_CORIM_BYTES:
        raise WireError(WHAT, offset=base, expected=f"at most {MAX_CORIM_BYTES} bytes", got=f"{len(data)} bytes")
    cursor = Cursor(data, WHAT, base=base)
    cursor.tag(_UNSIGNED, "tagged-unsigned-corim-map")
    found = cursor.map("corim-map", _CORIM, required=frozenset({0, 1}))
    cursor.end()
    tag_id, entities, chip, version, components = found[1]
    validity = found.get(4, {})
    return Corim(
        corim_id=found[0],
        tag_id=tag_id,
        chip=chip,
        os_version=version,
        components=components,
        entities=entities,
        not_before=validity.get(0),
        not_after=validity.get(1),
    )


def sign_corim(corim: Corim, key: ec.EllipticCurvePrivateKey, signer: str, *, key_id: bytes = b"") -> bytes:
    """The signed form.

    Args:
        corim: What to sign.
        key: P-256 private key.
        signer: Name of who signs.
        key_id: A hint for who verifies, empty for none.

    Raises:
        WireError: a field is out of its limits.
    """
    headers: dict[int, Any] = {cose.HEADER_ALGORITHM: cose.ES256, 3: MEDIA_TYPE, 8: cbor.encode({0: {0: signer}})}
    if key_id:
        headers[4] = key_id
    data = cose.encode_sign1(encode_corim(corim), key, protected=cbor.encode(headers))
    parse_signed_corim(data)
    return data


def parse_signed_corim(data: bytes) -> UnverifiedSignedCorim:
    """Parse the signed form; checks its form, not its signature.

    Raises:
        WireError: not a COSE_Sign1 with ES256, or headers or content that do not fit, which it names.
    """
    message = cose.parse_sign1(data, what="signed CoRIM")
    # wire/cose.py has checked that this is a map, deterministic, and that it names ES256.
    headers = cbor.decode(message.protected, what="signed CoRIM header", limit=cose.MAX_SIGN1_BYTES)
    unknown = [str(key) for key in (*headers, *message.unprotected) if key not in _HEADERS]
    if unknown or message.unprotected:
        got = f"header {unknown[0]}, which does not fit" if unknown else "some outside the signature"
        raise WireError("signed CoRIM", expected="alg, content-type, kid and corim-meta, all protected", got=got)
    if headers.get(3) != MEDIA_TYPE:
        raise WireError("signed CoRIM", expected=f"content-type {MEDIA_TYPE}", got=f"{headers.get(3)!r:.60}")
    key_id = headers.get(4, b"")
    if type(key_id) is not bytes or len(key_id) > MAX_KEY_ID_BYTES or (4 in headers and not key_id):
        raise WireError("signed CoRIM", expected=f"a kid of 1 to {MAX_KEY_ID_BYTES} bytes", got="another value")
    if type(headers.get(8)) is not bytes:
        raise WireError("signed CoRIM", expected="corim-meta in a byte string", got="none")
    cursor = Cursor(headers[8], "CoRIM meta", base=data.find(headers[8]))
    meta = cursor.map("corim-meta-map", _META, required=frozenset({0}))
    cursor.end()
    validity = meta.get(1, {})
    after = 2 + cose.SIGNATURE_BYTES  # the payload ends where the signature's byte string begins
    return UnverifiedSignedCorim(
        message=message,
        corim=parse_corim(message.payload, base=len(data) - after - len(message.payload)),
        signer=meta[0][0],
        signer_uri=meta[0].get(1),
        key_id=key_id,
        not_before=validity.get(0),
        not_after=validity.get(1),
    )


def verify_signed_corim(unverified: UnverifiedSignedCorim, key: ec.EllipticCurvePublicKey, *, now: int) -> Corim:
    """Check who signed a CoRIM and that the signature is meant to count now.

    Args:
        unverified: As parsed.
        key: The signer's P-256 key, from a source that is already trusted.
        now: Unix seconds UTC.

    Raises:
        SignatureError: ``key`` did not sign it.
        WireError: its signature counts at another time.
    """
    cose.verify_sign1(unverified.message, key, what="signed CoRIM")
    low, high = unverified.not_before or 0, MAX_TIME if unverified.not_after is None else unverified.not_after
    if not low <= now <= high:
        raise WireError("signed CoRIM", expected=f"a signature that counts at {now}", got=f"one from {low} to {high}")
    return unverified.corim


# -- reading ------------------------------------------------------------------------------------------------------


def _read_id(cursor: Cursor) -> UUID | str:
    if cursor.next_is(BYTES):
        return UUID(bytes=cursor.byte_string("an id", limit=16, size=16))
    return cursor.text("an id", limit=MAX_NAME_BYTES)


def _read_time(cursor: Cursor) -> int:
    cursor.tag(_TIME, "a time")
    return cursor.uint("a time", MAX_TIME)


def _read_uri(cursor: Cursor) -> str:
    cursor.tag(_URI, "a URI")
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
    cursor.tag(_COMID, "a concise-mid-tag")
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
        cursor.tag(_SVN, "an svn")
    return cursor.uint("an svn", MAX_SECURITY_VERSION)


def _read_class_id(cursor: Cursor) -> UUID:
    cursor.tag(_UUID, "a class-id that is a UUID")
    return _read_uuid(cursor)


def _read_uuid(cursor: Cursor) -> UUID:
    return UUID(bytes=cursor.byte_string("a UUID", limit=16, size=16))


def _read_digest(cursor: Cursor) -> bytes:
    cursor.array("digests: SHA-256 alone", limit=1)
    start = cursor.at
    if cursor.array("a digest of 2 items", limit=2) != 2:
        raise cursor.fault("a digest of 2 items", "1", at=start)
    if not cursor.next_is(UINT) or cursor.uint("a digest algorithm", 2**63) != _SHA256:
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
_META: Final[Fields] = {
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
_CORIM: Final[Fields] = {
    0: ("id", _read_id),
    1: ("tags", _read_tags),
    2: ("dependent-rims", None),
    3: ("profile", None),
    4: ("rim-validity", _read_validity),
    5: ("entities", None),
}

# -- writing ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Tagged:
    number: int
    content: Any


def _encode(value: Any) -> bytes:
    """Deterministic CBOR of maps with unsigned keys, lists and tags; leaves are ``wire/cbor.py``'s."""
    if isinstance(value, _Tagged):
        return head(TAG, value.number) + _encode(value.content)
    if isinstance(value, dict):
        return head(MAP, len(value)) + b"".join(cbor.encode(key) + _encode(value[key]) for key in sorted(value))
    if isinstance(value, list):
        return head(ARRAY, len(value)) + b"".join(map(_encode, value))
    return cbor.encode(value)


def _id(value: UUID | str) -> bytes | str:
    return value.bytes if isinstance(value, UUID) else value


def _validity_fields(not_before: int | None, not_after: int | None) -> dict[int, Any]:
    if not_after is None:
        raise WireError(WHAT, expected="an end where there is a beginning", got="none")
    return {**({} if not_before is None else {0: _Tagged(_TIME, not_before)}), 1: _Tagged(_TIME, not_after)}


def _entity_fields(entity: Entity) -> dict[int, Any]:
    uri = {} if entity.uri is None else {1: _Tagged(_URI, entity.uri)}
    return {0: entity.name, **uri, 2: list(entity.roles)}


def _triple_fields(corim: Corim, claim: ReferenceClaim) -> list[Any]:
    vendor = {} if claim.vendor is None else {1: claim.vendor}
    place = {0: _Tagged(_UUID, claim.component_id.bytes), **vendor, 2: corim.chip, 3: claim.layer}
    values = {
        0: {0: corim.os_version},
        1: _Tagged(_SVN, claim.security_version),
        2: [[_SHA256, claim.digest]],
        10: claim.image_id.bytes,
        11: claim.name,
    }
    return [{0: place}, [{0: claim.image_type, 1: values}]]

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
from armillary.wire.cbor_cursor import ARRAY, MAP, TAG, Cursor, head
from armillary.wire.cbor_fields import MAX_TIME
from armillary.wire.corim_fields import (
    CORIM_MAP,
    MAX_CHIP_BYTES,
    MAX_CORIM_BYTES,
    MAX_IMAGE_TYPE,
    MAX_NAME_BYTES,
    MAX_SECURITY_VERSION,
    MAX_URI_BYTES,
    MAX_VERSION_BYTES,
    META_MAP,
    SHA256,
    TAG_COMID,
    TAG_SVN,
    TAG_TIME,
    TAG_UNSIGNED,
    TAG_URI,
    TAG_UUID,
    WHAT,
    Entity,
    ReferenceClaim,
)

__all__ = (
    "MAX_CHIP_BYTES",
    "MAX_CORIM_BYTES",
    "MAX_IMAGE_TYPE",
    "MAX_NAME_BYTES",
    "MAX_SECURITY_VERSION",
    "MAX_URI_BYTES",
    "MAX_VERSION_BYTES",
    "Corim",
    "Entity",
    "ReferenceClaim",
    "UnverifiedSignedCorim",
    "encode_corim",
    "is_signed",
    "parse_corim",
    "parse_signed_corim",
    "sign_corim",
    "verify_signed_corim",
)

MEDIA_TYPE: Final = "application/rim+cbor"
MAX_KEY_ID_BYTES: Final = 64

_SIGN1_TAG: Final = 0xD2
_HEADERS: Final = {cose.HEADER_ALGORITHM: "alg", 3: "content-type", 4: "kid", 8: "corim-meta"}


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
    body: dict[int, Any] = {0: _id(corim.corim_id), 1: [_Tagged(TAG_COMID, _encode(comid))]}
    if corim.not_after is not None or corim.not_before is not None:
        body[4] = _validity_fields(corim.not_before, corim.not_after)
    data = _encode(_Tagged(TAG_UNSIGNED, body))
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
    cursor.tag(TAG_UNSIGNED, "tagged-unsigned-corim-map")
    found = cursor.map("corim-map", CORIM_MAP, required=frozenset({0, 1}))
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
    meta = cursor.map("corim-meta-map", META_MAP, required=frozenset({0}))
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
    return {**({} if not_before is None else {0: _Tagged(TAG_TIME, not_before)}), 1: _Tagged(TAG_TIME, not_after)}


def _entity_fields(entity: Entity) -> dict[int, Any]:
    uri = {} if entity.uri is None else {1: _Tagged(TAG_URI, entity.uri)}
    return {0: entity.name, **uri, 2: list(entity.roles)}


def _triple_fields(corim: Corim, claim: ReferenceClaim) -> list[Any]:
    vendor = {} if claim.vendor is None else {1: claim.vendor}
    place = {0: _Tagged(TAG_UUID, claim.component_id.bytes), **vendor, 2: corim.chip, 3: claim.layer}
    values = {
        0: {0: corim.os_version},
        1: _Tagged(TAG_SVN, claim.security_version),
        2: [[SHA256, claim.digest]],
        10: claim.image_id.bytes,
        11: claim.name,
    }
    return [{0: place}, [{0: claim.image_type, 1: values}]]

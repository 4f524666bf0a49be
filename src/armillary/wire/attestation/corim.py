# SPDX-License-Identifier: Apache-2.0
"""CoRIM, the subset for one release: one CoMID with a reference triple for each boot component.

::

    501({ 0: corim-id, 1: [506(<< comid >>)], ? 4: validity })                      unsigned
    18([<< {1: -7, 3: "application/rim+cbor", ? 4: kid, 8: << meta >>} >>, {}, << 501(...) >>, signature])    signed
    comid = { 1: {0: tag-id, ? 1: 0}, ? 2: [+ entity], 4: {0: [+ reference triple]} }
    reference triple = [ {0: {0: 37(component id), ? 1: vendor, 2: chip, 3: layer}},
                         [ {0: image type, 1: {0: {0: OS version}, 1: 552(security version), 2: [[1, SHA-256]],
                                               10: image id, 11: name}} ] ]

``class-id`` is the component, ``model`` the chip profile, ``layer`` its place in the boot chain from 0, ``mkey`` the
image type. All triples are of one chip and one version: they are one release.

Armillary writes this form. Files of other makers may have less or more: of a claim only the SHA-256 is required, the
rest is None and filled in by the importer (``service/verifier/corim_release.py``). Several CoMIDs, measurements and
digest algorithms, and any order of keys and triples are read. Fields that do not concern reference values (profile,
language, entities, linked tags, endorsed triples) are skipped and named in ``passed_over``. Fields that do and cannot
be followed (a mask, flags, a minimum, an instance) are refused by their name in the draft, because they could limit the
others.

Specification: draft-ietf-rats-corim (CDDL of 2026-08); RFC 9052 §4.2 with ES256. It is written as deterministic CBOR
(RFC 8949 §4.2.1).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from armillary.errors import WireError
from armillary.wire.attestation.corim_fields import (
    CORIM_MAP,
    MAX_CORIM_BYTES,
    PROFILE_FIELD,
    SHA256,
    TAG_COMID,
    TAG_SVN,
    TAG_TIME,
    TAG_UNSIGNED,
    TAG_URI,
    TAG_UUID,
    WAIVABLE,
    WHAT,
    Entity,
    Measured,
    ReferenceClaim,
)
from armillary.wire.attestation.corim_signed import MEDIA_TYPE, SIGN1_TAG, Envelope, read_envelope
from armillary.wire.encoding import cbor, cose
from armillary.wire.encoding.cbor_cursor import ARRAY, MAP, TAG, Cursor, head
from armillary.wire.encoding.cbor_fields import MAX_TIME


@dataclass(frozen=True, slots=True, kw_only=True)
class Corim:
    """The reference values of one release on one chip."""

    corim_id: UUID | str
    tag_id: UUID | str  # of the first CoMID
    chip: str | None  # the one model that the triples name; None if none does
    os_version: str | None  # likewise
    components: tuple[ReferenceClaim, ...]  # in boot order if they have layers, else as in the file
    entities: tuple[Entity, ...] = ()
    not_before: int | None = None  # Unix seconds UTC; only together with ``not_after``
    not_after: int | None = None  # Unix seconds UTC; None for no end
    passed_over: tuple[str, ...] = field(default=(), compare=False)  # names of skipped fields


class UnverifiedSignedCorim(NamedTuple):
    """A parsed signed CoRIM, with the CoRIM of its payload; the signature is not verified."""

    envelope: Envelope
    corim: Corim


def is_signed(data: bytes) -> bool:
    """Whether bytes begin with the tag of the signed form."""
    return data[:1] == head(TAG, SIGN1_TAG)


def encode_corim(corim: Corim) -> bytes:
    """The unsigned form; raises WireError for a field out of its limits."""
    comid = {
        1: {0: _id(corim.tag_id)},
        **({2: [_entity_fields(one) for one in corim.entities]} if corim.entities else {}),
        4: {0: [_triple_fields(corim, claim) for claim in corim.components]},
    }
    body: dict[int, Any] = {0: _id(corim.corim_id), 1: [_Tagged(TAG_COMID, _encode(comid))]}
    if corim.not_after is not None or corim.not_before is not None:
        body[4] = _validity_fields(corim.not_before, corim.not_after)
    data = _encode(_Tagged(TAG_UNSIGNED, body))
    parse_corim(data)  # an error here, not at the reader
    return data


def parse_corim(data: bytes, *, base: int = 0, waived: frozenset[str] = frozenset()) -> Corim:
    """Parse the unsigned form, skipping the ``waived`` fields (:func:`check_waived`); nothing may follow it.

    ``base`` is its offset in the input, from which errors count.

    Raises:
        WireError: not CBOR, not a CoRIM, or one with a field that does not fit, which it names.
    """
    check_waived(waived)
    if len(data) > MAX_CORIM_BYTES:
        raise WireError(WHAT, offset=base, expected=f"at most {MAX_CORIM_BYTES} bytes", got=f"{len(data)} bytes")
    cursor = Cursor(data, WHAT, base=base, waived=waived)
    cursor.tag(TAG_UNSIGNED, "tagged-unsigned-corim-map")
    found = CORIM_MAP(cursor)
    cursor.end()
    tag_id, entities, measured = found[1]
    validity = found.get(4, {})
    chip, version = _one_release(cursor, measured)
    return Corim(
        corim_id=found[0],
        tag_id=tag_id,
        chip=chip,
        os_version=version,
        components=_chain(cursor, measured),
        entities=entities,
        not_before=validity.get(0),
        not_after=validity.get(1),
        passed_over=tuple(cursor.passed),
    )


def check_waived(names: Collection[str]) -> None:
    """Check that these fields may be skipped; raises WireError for one that could limit the reference values."""
    for name in names:
        if name not in WAIVABLE and PROFILE_FIELD.fullmatch(name) is None:
            expected = f"{', '.join(WAIVABLE)}, or a profile's own field such as 'key -1'"
            raise WireError("field to pass over", expected=expected, got=f"{name!r:.60}")


def sign_corim(corim: Corim, key: ec.EllipticCurvePrivateKey, signer: str, *, key_id: bytes = b"") -> bytes:
    """The signed form, by a P-256 key; raises WireError for a field out of its limits."""
    headers: dict[int, Any] = {cose.HEADER_ALGORITHM: cose.ES256, 3: MEDIA_TYPE, 8: cbor.encode({0: {0: signer}})}
    if key_id:
        headers[4] = key_id
    data = cose.encode_sign1(encode_corim(corim), key, protected=cbor.encode(headers))
    parse_signed_corim(data)
    return data


def parse_signed_corim(data: bytes, *, waived: frozenset[str] = frozenset()) -> UnverifiedSignedCorim:
    """Parse the signed form without verifying its signature; ``waived`` as in :func:`parse_corim`.

    Raises:
        WireError: not a COSE_Sign1 with ES256, or headers or content that do not fit, which it names.
    """
    envelope = read_envelope(data)
    value = parse_corim(envelope.message.payload, base=envelope.base, waived=waived)
    return UnverifiedSignedCorim(envelope, replace(value, passed_over=(*envelope.passed_over, *value.passed_over)))


def verify_signed_corim(unverified: UnverifiedSignedCorim, key: ec.EllipticCurvePublicKey, *, now: int) -> Corim:
    """The payload of a signed CoRIM, after its signature and the signature's validity were checked.

    ``key`` is the signer's P-256 key, from a source that is already trusted; ``now`` is in Unix seconds UTC.

    Raises:
        SignatureError: ``key`` did not sign it.
        WireError: the signature is not valid at ``now``.
    """
    envelope = unverified.envelope
    cose.verify_sign1(envelope.message, key, what="signed CoRIM")
    low, high = envelope.not_before or 0, MAX_TIME if envelope.not_after is None else envelope.not_after
    if not low <= now <= high:
        raise WireError("signed CoRIM", expected=f"a signature that counts at {now}", got=f"one from {low} to {high}")
    return unverified.corim


@dataclass(frozen=True, slots=True)
class _Tagged:
    number: int
    content: Any


def _encode(value: Any) -> bytes:
    """Deterministic CBOR of maps with unsigned keys, lists and tags; leaves are ``wire/encoding/cbor.py``'s."""
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
    component = None if claim.component_id is None else _Tagged(TAG_UUID, claim.component_id.bytes)
    image_id = None if claim.image_id is None else claim.image_id.bytes
    svn = None if claim.security_version is None else _Tagged(TAG_SVN, claim.security_version)
    version = None if corim.os_version is None else {0: corim.os_version}
    element = _Tagged(TAG_UUID, claim.element.bytes) if isinstance(claim.element, UUID) else claim.element
    key = element if claim.image_type is None else claim.image_type
    place = _said({0: component, 1: claim.vendor, 2: corim.chip, 3: claim.layer})
    values = _said({0: version, 1: svn, 2: [[SHA256, claim.digest]], 10: image_id, 11: claim.name})
    return [{0: place}, [_said({0: key, 1: values})]]


def _said(fields: dict[int, Any]) -> dict[int, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def _one_release(cursor: Cursor, measured: list[Measured]) -> tuple[str | None, str | None]:
    """The chip and the version that all triples which say one agree on."""
    chip = version = None
    for one in measured:
        if _differ(chip, one.chip) or _differ(version, one.version):
            raise cursor.fault(
                "triples of one chip and one version",
                f"{one.chip} {one.version} after {chip} {version}",
                at=one.at - cursor.base,
            )
        chip, version = chip or one.chip, version or one.version
    return chip, version


def _differ(known: str | None, said: str | None) -> bool:
    return known is not None and said is not None and known != said


def _chain(cursor: Cursor, measured: list[Measured]) -> tuple[ReferenceClaim, ...]:
    """The claims in boot order; claims of one layer, and all claims without layers, stay in the order of the file."""
    seen: set[UUID] = set()
    for one in measured:
        if one.claim.component_id in seen:
            raise cursor.fault("each component once", f"{one.claim.component_id} again", at=one.at - cursor.base)
        if one.claim.component_id is not None:
            seen.add(one.claim.component_id)
    claims = [one.claim for one in measured]
    layers = sorted({claim.layer for claim in claims if claim.layer is not None})
    if not layers:
        return tuple(claims)
    missing = next((claim for claim in claims if claim.layer is None), None)
    if missing is not None or layers != list(range(layers[0], layers[0] + len(layers))):
        got = f"layers {layers}" if missing is None else f"layers {layers}, and a triple without one"
        raise cursor.fault(
            "triples with layers that follow one another, or all without", got, at=measured[-1].at - cursor.base
        )
    return tuple(sorted(claims, key=lambda claim: claim.layer or 0))

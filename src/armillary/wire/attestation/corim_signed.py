# SPDX-License-Identifier: Apache-2.0
"""Reads the COSE_Sign1 of a signed CoRIM by any signer (RFC 9052 §4.2, draft-ietf-rats-corim).

``wire/encoding/cose.py`` reads Armillary's own messages, which have one encoding. Here the protected header may be in
any order and have unknown parameters: those that are not critical are skipped and named. The protected header has to
name ES256. The signature is over the bytes as received.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from armillary.wire.attestation.corim_fields import MAX_NAME_BYTES, META_MAP
from armillary.wire.encoding import cose
from armillary.wire.encoding.cbor_cursor import BYTES, TEXT, Cursor, MapForm, content_of
from armillary.wire.encoding.cbor_fields import MAX_TIME

WHAT: Final = "signed CoRIM"
MEDIA_TYPE: Final = "application/rim+cbor"
MAX_KEY_ID_BYTES: Final = 64
SIGN1_TAG: Final = 18
_MAX_HEADERS: Final = 32
_CONTENT_TYPE, _KEY_ID, _META, _CLAIMS = 3, 4, 8, 15
# RFC 9054 and the draft on hash envelopes: the payload would be a digest of the content, not the content.
_CHANGES_THE_PAYLOAD: Final = (258, 259, 260)
_ISSUER, _EXPIRES, _NOT_BEFORE = 1, 4, 5  # CWT claims (RFC 8392 §3.1)


class Envelope(NamedTuple):
    """The headers, payload and signature of a signed CoRIM; not verified."""

    message: cose.UnverifiedSign1  # its bytes as received
    base: int  # offset of the payload in the input, bytes
    signer: str  # claimed name
    signer_uri: str | None  # claimed address
    key_id: bytes  # claimed; empty for none
    not_before: int | None  # of the signature's validity, Unix seconds UTC; as is ``not_after``
    not_after: int | None
    passed_over: tuple[str, ...]  # names of skipped headers


def read_envelope(data: bytes) -> Envelope:
    """Cut a signed CoRIM into header, payload and signature.

    Raises:
        WireError: not a COSE_Sign1 with ES256, or a header that cannot be skipped, which it names.
    """
    cursor = Cursor(data, WHAT)
    if len(data) > cose.MAX_SIGN1_BYTES:
        raise cursor.fault(f"at most {cose.MAX_SIGN1_BYTES} bytes", f"{len(data)} bytes")
    cursor.tag(SIGN1_TAG, "COSE_Sign1")
    start = cursor.at
    if cursor.array("COSE_Sign1 of 4 items", limit=4) != 4:
        raise cursor.fault("COSE_Sign1 of 4 items", "another number", at=start)
    header = content_of(cursor, "the protected header", limit=cose.MAX_SIGN1_BYTES)
    protected = _headers(header, "protected") if header.data else {}
    header.end()
    at = cursor.at
    unprotected = _headers(cursor, "unprotected")
    if protected.keys() & unprotected.keys() or cose.HEADER_ALGORITHM in unprotected:
        raise cursor.fault("each header once, and alg under the signature", "another place", at=at)
    payload = cursor.byte_string("a payload", limit=cose.MAX_SIGN1_BYTES)
    base = cursor.at - len(payload)
    signature = cursor.byte_string("a signature", limit=cose.SIGNATURE_BYTES, size=cose.SIGNATURE_BYTES)
    cursor.end()
    if protected.get(cose.HEADER_ALGORITHM) != cose.ES256:
        raise header.fault("alg ES256 (-7) in the protected header", f"{protected.get(cose.HEADER_ALGORITHM)}")
    if protected.get(_CONTENT_TYPE) != MEDIA_TYPE:
        raise header.fault(f"content-type {MEDIA_TYPE}", f"{protected.get(_CONTENT_TYPE)!r:.60}")
    meta, claims = protected.get(_META), protected.get(_CLAIMS, {})
    if meta is None and _ISSUER not in claims:
        raise header.fault("corim-meta, or CWT claims with an issuer", "neither")
    signer = {0: claims.get(_ISSUER)} if meta is None else meta[0]
    validity = {} if meta is None else meta.get(1, {})
    return Envelope(
        message=cose.UnverifiedSign1(header.data, {}, payload, signature),
        base=base,
        signer=signer[0],
        signer_uri=signer.get(1),
        key_id=protected.get(_KEY_ID, unprotected.get(_KEY_ID, b"")),
        # Of two stated limits the narrower one holds.
        not_before=max((each for each in (validity.get(0), claims.get(_NOT_BEFORE)) if each is not None), default=None),
        not_after=min((each for each in (validity.get(1), claims.get(_EXPIRES)) if each is not None), default=None),
        passed_over=tuple(cursor.passed),
    )


def _headers(cursor: Cursor, side: str) -> dict[Any, Any]:
    """A header map: the values of known headers, and None for others, which are named in ``Cursor.passed``."""
    found: dict[Any, Any] = {}
    for _ in range(cursor.pairs(f"the {side} header", limit=_MAX_HEADERS)):
        at = cursor.at
        label: int | str = (
            cursor.text("a label", limit=MAX_NAME_BYTES) if cursor.next_is(TEXT) else cursor.integer("a label")
        )
        if label in found:
            raise cursor.fault(f"each {side} header once", f"{label} again", at=at)
        if label == cose.HEADER_CRITICAL:
            raise cursor.fault("no critical extension", "a crit header", at=at)
        if label in _CHANGES_THE_PAYLOAD:
            raise cursor.fault("a payload that is the CoRIM", f"header {label}, which does not fit", at=at)
        found[label] = _value(cursor, label, side)
    return found


def _value(cursor: Cursor, label: int | str, side: str) -> Any:
    at = cursor.at
    if label == _KEY_ID:  # a hint that nothing is decided by, on either side
        key_id = cursor.byte_string(f"a kid of 1 to {MAX_KEY_ID_BYTES} bytes", limit=MAX_KEY_ID_BYTES)
        if not key_id:
            raise cursor.fault(f"a kid of 1 to {MAX_KEY_ID_BYTES} bytes", "none", at=at)
        return key_id
    if label == cose.HEADER_ALGORITHM:
        return cursor.text("alg", limit=MAX_NAME_BYTES) if cursor.next_is(TEXT) else cursor.integer("alg")
    if side == "protected" and label == _CONTENT_TYPE and cursor.next_is(TEXT):
        return cursor.text("a content-type", limit=MAX_NAME_BYTES)
    if side == "protected" and label == _META:
        if not cursor.next_is(BYTES):
            raise cursor.fault("corim-meta in a byte string", "another type")
        inner = content_of(cursor, "corim-meta", limit=cose.MAX_SIGN1_BYTES)
        meta = META_MAP(inner)
        inner.end()
        return meta
    if side == "protected" and label == _CLAIMS:
        return _CWT(cursor)
    cursor.skip()
    cursor.passed.append(f"{side} header {label}")
    return None


_CWT: Final = MapForm(
    "CWT claims",
    {
        _ISSUER: ("iss", lambda c: c.text("an issuer", limit=MAX_NAME_BYTES)),
        _EXPIRES: ("exp", lambda c: c.uint("a time in whole seconds", MAX_TIME)),
        _NOT_BEFORE: ("nbf", lambda c: c.uint("a time in whole seconds", MAX_TIME)),
    },
    extensible=True,
)

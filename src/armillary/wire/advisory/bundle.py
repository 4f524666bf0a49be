# SPDX-License-Identifier: Apache-2.0
"""Feed bundles: the records of a feed as one signed file, for services that reach no source of advisories.

::

    bundle    = "ARMFEED1", size of statement (4 bytes, big endian), statement, records
    statement = COSE_Sign1 (RFC 9052 §4.2, ES256) over the deterministic CBOR map
        1: format, 1                        6: SHA-256 of records (32 bytes)
        2: feed's name                      7: number of records
        3: kind of its records              8: size of records, bytes
        4: URL of its source                9: ecosystems that it is about, a list of text
        5: as of, Unix seconds UTC: when the records were fetched from the source
    records   = zlib stream (RFC 1950) of one record a line (JSON without line ends, then a line feed)

The signature covers the whole bundle, as the statement names the digest of the records. External data "armillary feed
bundle" keeps a signature of anything else from being one of a bundle. Who signs is found by trying the trusted keys:
the statement names none.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from armillary.errors import SignatureError, WireError
from armillary.wire.encoding import cbor, cose

WHAT: Final = "feed-bundle"
MAGIC: Final = b"ARMFEED1"
HEAD_BYTES: Final = len(MAGIC) + 4
FORMAT: Final = 1
PURPOSE: Final = b"armillary feed bundle"
# All of OSV's records are below 1 GB packed in this way, those of one ecosystem at most a third of that.
MAX_RECORDS_BYTES: Final = 1 << 30
MAX_RECORDS: Final = 1_000_000
# An advisory of Linux's kernel with every version that it affects has 5 MB; readers have lower limits of their own.
MAX_RECORD_BYTES: Final = 16 << 20
# Text packs to a tenth; what packs better than this was made to fill memory and disk.
MAX_RATIO: Final = 200
MAX_ECOSYSTEMS: Final = 256
NAME_PATTERN: Final = r"[a-z0-9][a-z0-9._-]{0,62}"
KINDS: Final = ("osv", "kev", "epss", "openvex", "cyclonedx-vex", "csaf-vex")
_NAME: Final = re.compile(NAME_PATTERN, re.ASCII)
_PIECE: Final = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleStatement:
    """What a bundle says of its records; times in Unix seconds UTC."""

    feed: str
    kind: str
    source_url: str
    as_of: int
    sha256: bytes
    records: int
    size: int
    ecosystems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnverifiedBundle:
    """A bundle's statement whose signature is not verified; the records begin at ``offset`` of the file."""

    unverified: cose.UnverifiedSign1
    offset: int


def pack_records(records: Iterable[bytes]) -> tuple[bytes, int]:
    """Records, each JSON without line ends, as a bundle has them; and how many there were.

    Raises:
        WireError: one is too long, or there are too many.
    """
    packer, parts, count = zlib.compressobj(9), [], 0
    for record in records:
        if b"\n" in record or not 0 < len(record) <= MAX_RECORD_BYTES:
            raise _fault(f"records of 1 to {MAX_RECORD_BYTES} bytes without line ends", f"{len(record)} bytes")
        count += 1
        if count > MAX_RECORDS:
            raise _fault(f"at most {MAX_RECORDS} records", "more")
        parts.append(packer.compress(record + b"\n"))
    parts.append(packer.flush())
    return b"".join(parts), count


def seal(statement: BundleStatement, records: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """A signed bundle; ``records`` are as :func:`pack_records` gave them, and as the statement says."""
    _check(statement)
    if sha256(records).digest() != statement.sha256 or len(records) != statement.size:
        raise _fault("the records that the statement names", "others")
    payload = cbor.encode(
        {
            1: FORMAT, 2: statement.feed, 3: statement.kind, 4: statement.source_url, 5: statement.as_of,
            6: statement.sha256, 7: statement.records, 8: statement.size, 9: list(statement.ecosystems),
        }
    )  # fmt: skip
    signed = cose.encode_sign1(payload, key, external_aad=PURPOSE)
    return MAGIC + len(signed).to_bytes(4, "big") + signed + records


def statement_size(head: bytes) -> int:
    """How many bytes the statement has, of a bundle's first :data:`HEAD_BYTES`.

    Raises:
        WireError: it is no bundle.
    """
    if len(head) != HEAD_BYTES or not head.startswith(MAGIC):
        raise _fault(f"{MAGIC.decode()} and a size", f"{head[:8]!r}")
    size = int.from_bytes(head[len(MAGIC) :], "big")
    if not 0 < size <= cose.MAX_SIGN1_BYTES:
        raise _fault(f"a statement of 1 to {cose.MAX_SIGN1_BYTES} bytes", f"{size} bytes")
    return size


def parse_statement(data: bytes) -> UnverifiedBundle:
    """The signed statement of a bundle, not verified; ``data`` is as much as :func:`statement_size` said."""
    return UnverifiedBundle(cose.parse_sign1(data, what=WHAT), HEAD_BYTES + len(data))


def verify(bundle: UnverifiedBundle, keys: Sequence[ec.EllipticCurvePublicKey]) -> tuple[BundleStatement, int]:
    """What the bundle says, and the place in ``keys`` of the key that signed it.

    Raises:
        SignatureError: none of the keys signed it.
        WireError: what is signed is no statement.
    """
    for place, key in enumerate(keys):
        try:
            payload = cose.verify_sign1(bundle.unverified, key, external_aad=PURPOSE, what=WHAT)
        except SignatureError:
            continue
        return _statement(payload), place
    raise SignatureError(
        WHAT,
        expected=f"a signature by one of {len(keys)} trusted keys",
        got="one by none of them",
        remedy="Trust the key of who packed it, if you know them: armillary advisory-feed trust. Else fetch it again.",
    )


def lines(pieces: Iterable[bytes], statement: BundleStatement) -> Iterator[bytes]:
    """The records of a verified statement out of the bytes behind it, one by one, in little memory.

    The digest is checked when the last byte was read: what was given out before is the statement's only if the whole
    comes to its end. Raises WireError where size, digest, number, a record's size or the packing is another one.
    """
    digest, size, count, unpacked = sha256(), 0, 0, 0
    unpacker, rest = zlib.decompressobj(), b""
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
        if size > statement.size:
            raise _fault(f"{statement.size} bytes of records", "more")
        while piece:
            try:
                text = unpacker.decompress(piece, _PIECE)
            except zlib.error as error:
                raise _fault("a zlib stream", str(error)) from error
            piece = unpacker.unconsumed_tail  # noqa: PLW2901 - what is left of it
            unpacked += len(text)
            if unpacked > MAX_RATIO * max(size, _PIECE):
                raise _fault(f"records that pack to a {MAX_RATIO}th at best", "less")
            *whole, rest = (rest + text).split(b"\n")
            if len(rest) > MAX_RECORD_BYTES or any(len(each) > MAX_RECORD_BYTES for each in whole):
                raise _fault(f"records of at most {MAX_RECORD_BYTES} bytes", "a longer one")
            count += len(whole)
            if count > statement.records:
                raise _fault(f"{statement.records} records", "more")
            yield from whole
    if not unpacker.eof or unpacker.unused_data or rest:
        raise _fault("the end of the records", "a cut or longer stream")
    if (count, size, digest.digest()) != (statement.records, statement.size, statement.sha256):
        raise _fault(f"{statement.records} records in {statement.size} bytes of the digest that was signed", "others")


def _statement(payload: bytes) -> BundleStatement:
    found = cbor.decode(payload, what=WHAT, limit=cose.MAX_SIGN1_BYTES)
    kinds = (int, str, str, str, int, bytes, int, int, list)
    if (
        type(found) is not dict
        or set(found) != set(range(1, 10))
        or any(type(found[place]) is not kind for place, kind in enumerate(kinds, 1))
    ):
        raise _fault("a map of 1 to 9", "another one")
    if found[1] != FORMAT:
        raise _fault(f"format {FORMAT}", f"format {found[1]}")
    if any(type(each) is not str for each in found[9]):
        raise _fault("ecosystems as text", "others")
    made = BundleStatement(
        feed=found[2],
        kind=found[3],
        source_url=found[4],
        as_of=found[5],
        sha256=found[6],
        records=found[7],
        size=found[8],
        ecosystems=tuple(found[9]),
    )
    _check(made)
    return made


def _check(made: BundleStatement) -> None:
    if _NAME.fullmatch(made.feed) is None:
        raise _fault("a feed's name of a-z 0-9 . _ - (63 characters at most)", f"{made.feed!a:.60}")
    if made.kind not in KINDS:
        raise _fault(f"one of {', '.join(KINDS)}", f"{made.kind!a:.40}")
    if not 0 < len(made.source_url) <= 1024 or not made.source_url.isprintable():
        raise _fault("a source of 1 to 1024 characters", f"{made.source_url!a:.60}")
    if not 0 < made.as_of < 1 << 40 or len(made.sha256) != 32:
        raise _fault("a time and a SHA-256", f"{made.as_of} and {len(made.sha256)} bytes")
    if not 0 <= made.records <= MAX_RECORDS or not 0 < made.size <= MAX_RECORDS_BYTES:
        raise _fault(
            f"up to {MAX_RECORDS} records in up to {MAX_RECORDS_BYTES} bytes", f"{made.records} in {made.size}"
        )
    if len(made.ecosystems) > MAX_ECOSYSTEMS or any(
        not 0 < len(each) <= 64 or not each.isprintable() for each in made.ecosystems
    ):
        raise _fault(f"up to {MAX_ECOSYSTEMS} ecosystems of 64 characters", f"{len(made.ecosystems)}")


def _fault(expected: str, got: str) -> WireError:
    return WireError(WHAT, expected=expected, got=got, remedy="Pack the feed again: armillary advisory-feed pack.")

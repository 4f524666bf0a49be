# SPDX-License-Identifier: Apache-2.0
"""A zip archive of OSV records, as OSV publishes one an ecosystem (``all.zip``) and code hosts publish databases.

Each member whose name ends in ``.json`` (or ``.yaml``, ``.yml``: PyPA's form) is one record; others are passed over.
Nothing is unpacked to a disk, and what the archive's directory says of sizes is not believed: a member is read up to
the limit of one record, all of them up to :data:`MAX_UNPACKED_BYTES`. A record that is none is refused alone, counted,
and named with its reason; a damaged or encrypted archive is refused whole.

Source: OSV's data dumps (google.github.io/osv.dev/data); ZIP as Python's ``zipfile`` reads it (APPNOTE 6.3).
"""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

from armillary.errors import AdvisoryError
from armillary.wire.advisory.osv import MAX_BYTES, Advisory, read_advisory

WHAT: Final = "osv-archive"
# OSV's largest dump (npm with malicious packages) has about 220,000 records in 120 MB, 1 GB unpacked.
MAX_UNPACKED_BYTES: Final = 4 << 30
# Of the archive's directory, which is read whole: about 100 bytes a member.
MAX_DIRECTORY_BYTES: Final = 64 << 20
_RECORDS: Final = (".json", ".yaml", ".yml")
_ENCRYPTED: Final = 0x1  # APPNOTE 4.4.4, general purpose bit 0
# APPNOTE 4.3.16: the end of the directory, with the directory's size at byte 12; a comment of up to 64 KB follows.
_END: Final = struct.Struct("<4s4H2LH")
_END_MARK: Final = b"PK\x05\x06"
# APPNOTE 4.3.15 and 4.3.14: the locator before it says where the large archive's own end is, with the size at byte 40.
_LOCATOR: Final = struct.Struct("<4sLQL")
_LOCATOR_MARK: Final = b"PK\x06\x07"
_LARGE_END: Final = struct.Struct("<4sQ2H2L4Q")


# What zipfile raises for damaged, encrypted and unknown archives.
_DAMAGE: Final = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError, RuntimeError, OSError,
    ValueError, OverflowError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """A member that is no record, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ArchivedRecord:
    """A record and the bytes that it was read from."""

    advisory: Advisory
    data: bytes


def read_archive(file: IO[bytes]) -> Iterator[ArchivedRecord | RefusedRecord]:
    """Each record of an archive, in its order.

    Raises:
        AdvisoryError: it is no archive, is damaged or encrypted, or breaks a limit; what was read before stands.
    """
    left = MAX_UNPACKED_BYTES
    try:
        _check_directory(file)
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                if not member.filename.lower().endswith(_RECORDS):
                    continue
                data = _member(archive, member)
                left -= len(data)
                if left < 0:
                    raise AdvisoryError(WHAT, expected=f"at most {MAX_UNPACKED_BYTES} bytes unpacked", got="more")
                yield _record(member.filename, data)
    except _DAMAGE as error:
        raise AdvisoryError(WHAT, expected="a zip archive", got=f"a damaged one: {error!s:.120}") from error


def _check_directory(file: IO[bytes]) -> None:
    """Refuse a directory that would take gigabytes of memory once read; what is no archive is found later."""
    length = file.seek(0, 2)
    start = file.seek(max(length - _END.size - 0xFFFF, 0))
    tail = file.read()
    place = tail.rfind(_END_MARK)
    if place < 0 or len(tail) < place + _END.size:
        return
    size = _END.unpack_from(tail, place)[5]
    if start + place >= _LOCATOR.size:
        file.seek(start + place - _LOCATOR.size)
        mark, _, offset, _ = _LOCATOR.unpack(file.read(_LOCATOR.size))
        if mark == _LOCATOR_MARK and offset + _LARGE_END.size <= length:
            file.seek(offset)
            size = max(size if size != 0xFFFFFFFF else 0, _LARGE_END.unpack(file.read(_LARGE_END.size))[8])
    if size > MAX_DIRECTORY_BYTES:
        raise AdvisoryError(WHAT, expected=f"a directory of at most {MAX_DIRECTORY_BYTES} bytes", got=f"{size} bytes")


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.flag_bits & _ENCRYPTED:
        raise AdvisoryError(WHAT, expected="members that are not encrypted", got=f"{member.filename!a:.80}")
    with archive.open(member) as opened:
        return opened.read(MAX_BYTES + 1)


def _record(name: str, data: bytes) -> ArchivedRecord | RefusedRecord:
    try:
        if name.lower().endswith(".json"):
            return ArchivedRecord(read_advisory(data), data)
        from armillary.wire.advisory.osv_yaml import read_yaml  # noqa: PLC0415 - most archives have no YAML

        return ArchivedRecord(read_yaml(data), data)
    except AdvisoryError as error:
        return RefusedRecord(name[:256], error.message)

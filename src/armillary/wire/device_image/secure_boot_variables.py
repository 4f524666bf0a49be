# SPDX-License-Identifier: Apache-2.0
"""Secure Boot's key variables as a firmware takes them from a file: lists of certificates, signed by the key above.

::

    list      kind GUID (X.509), size u32, size of a header u32 (0), size of an entry u32; entry: owner GUID, DER
    signed    name UTF-16 without its end, vendor GUID, attributes u32, time, list
    .auth     time 16, size u32, revision u16, type u16, kind GUID (PKCS #7), SignedData DER, list

All integers are little endian. Specification: UEFI 2.10, §8.2.2 (``EFI_VARIABLE_AUTHENTICATION_2``), §32.4.1
(``EFI_SIGNATURE_LIST``), §32.3 (which key signs which).
"""

from __future__ import annotations

import datetime as dt
import struct
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from armillary.errors import WireError

GLOBAL: Final = UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
IMAGE_SECURITY: Final = UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
# Non-volatile, for boot services and at run time, written with a time and a signature only.
ATTRIBUTES: Final = 0x27
_X509: Final = UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
_PKCS7: Final = UUID("4aafd29d-68df-49ee-8aa9-347d375665a7")
_LIST: Final = struct.Struct("<16sIII")
_CERTIFICATE: Final = struct.Struct("<IHH16s")
_REVISION: Final = 0x0200
_KIND_GUID: Final = 0x0EF1
_SIGNED_DATA_OID: Final = bytes.fromhex("06092a864886f70d010702")


@dataclass(frozen=True, slots=True)
class KeyVariable:
    """One of Secure Boot's variables: its name, and whose it is."""

    name: str
    vendor: UUID


PLATFORM_KEY: Final = KeyVariable("PK", GLOBAL)
EXCHANGE_KEYS: Final = KeyVariable("KEK", GLOBAL)
ALLOWED: Final = KeyVariable("db", IMAGE_SECURITY)


def encode_list(certificate: bytes, owner: UUID) -> bytes:
    """A signature list with one certificate (DER)."""
    entry = owner.bytes_le + certificate
    return _LIST.pack(_X509.bytes_le, _LIST.size + len(entry), 0, len(entry)) + entry


def only_entry(content: bytes) -> bytes:
    """Owner and certificate of a list that has one; WireError for any other content of a variable."""
    if len(content) >= _LIST.size:
        _, size, header, entry = _LIST.unpack_from(content)
        if size == len(content) and header == 0 and _LIST.size + entry == size:
            return content[_LIST.size :]
    raise WireError("secure-boot-variable", expected="a list of one certificate", got=f"{len(content)} bytes")


def signed_content(variable: KeyVariable, content: bytes, time: dt.datetime) -> bytes:
    """What the key above signs of a variable's new content."""
    head = variable.name.encode("utf-16-le") + variable.vendor.bytes_le + struct.pack("<I", ATTRIBUTES)
    return head + _time(time) + content


def encode_signed(content: bytes, time: dt.datetime, signature: bytes) -> bytes:
    """The file: ``signature`` is a PKCS #7 ContentInfo (DER), of which firmware wants the SignedData alone."""
    data = _signed_data(signature)
    head = _CERTIFICATE.pack(_CERTIFICATE.size + len(data), _REVISION, _KIND_GUID, _PKCS7.bytes_le)
    return _time(time) + head + data + content


def _time(time: dt.datetime) -> bytes:
    """EFI_TIME; everything below the second, and the zone, are zero as the specification wants it here."""
    return struct.pack("<H6BI2xBB", time.year, time.month, time.day, time.hour, time.minute, time.second, 0, 0, 0, 0)


def _signed_data(content_info: bytes) -> bytes:
    """What a ContentInfo with signed data contains; WireError if it is another."""
    outer = _inside(content_info, 0x30)
    if not outer.startswith(_SIGNED_DATA_OID):
        raise WireError("secure-boot-signature", expected="PKCS #7 signed data", got=outer[:11].hex())
    return _inside(outer[len(_SIGNED_DATA_OID) :], 0xA0)


def _inside(data: bytes, tag: int) -> bytes:
    """The content of one DER element that is all of ``data``."""
    size, at = (data[1], 2) if len(data) > 1 else (0, 0)
    if size > 0x80:
        count = size & 0x7F
        size, at = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
    if not data or data[0] != tag or at + size != len(data):
        raise WireError("secure-boot-signature", expected=f"one DER element with tag {tag:#04x}", got=data[:4].hex())
    return data[at:]

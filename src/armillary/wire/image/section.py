# SPDX-License-Identifier: Apache-2.0
"""The metadata sections of an image package, little endian. ``wire/image/package.py`` puts them together.

Each section stands in the metadata as ``id u16 | data_len u16 | data``::

    0x4449 ID  Identity         image_type u16, reserved u16 = 0, component uid 16 B, image uid 16 B
    0x4753 SG  Signature        SHA-1 thumbprint of the signing certificate 20 B, algorithm u32
    0x4244 DB  Debug            build time u64 (Unix seconds), name char[32] (UTF-8, zero padded, at most 31 bytes)
    0x5054 TP  Temporary image  flags u32
    0x444E ND  ABI Depends      count u32, count x {version u32, kind u32}
    0x504E NP  ABI Provides     as ND
    0x4D43 CM  Compression      uncompressed_size u32 (bytes), algorithm u32
    0x5652 RV  Revocation       security version u32; bit N of a 32-bit fuse set = version N is distrusted
    0x4F52 RO  Flash offset     u32, where the image must lie (bytes)
    0x5049 IP  Image policy     flags u32
    0x4441 AD, 0x5041 AP, 0x474C LG   legacy ABI and footer: opaque

GUIDs are in .NET order (first three fields little endian). Ids, flags, kinds and algorithms that are not listed
are refused: a reader that skips what it does not understand may skip what limits the image.

Source: azuresphere_imagemetadata 0.2.2 and packages built by the Azure Sphere SDK 19.x to 22.x.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from typing import ClassVar, Self, get_args
from uuid import UUID

from armillary.errors import WireError

FORMAT = "image-package"

# Image types by number. 11, 12, 14, 15 and 18 were never published; 0 is Azure Sphere's "Invalid".
IMAGE_TYPES: Mapping[int, str] = {
    1: "OneBL",
    2: "PlutonRuntime",
    3: "WifiFirmware",
    4: "SecurityMonitor",
    5: "NormalWorldLoader",
    6: "NormalWorldDTB",
    7: "NormalWorldKernel",
    8: "RootFs",
    9: "Services",
    10: "Applications",
    13: "FirmwareConfig",
    16: "BootManifest",
    17: "NormalWorldFileSystem",
    19: "TrustedKeystore",
    20: "Policy",
    21: "CustomerBoardConfig",
    22: "UpdateCertStore",
    23: "BaseSystemUpdateManifest",
    24: "FirmwareUpdateManifest",
    25: "CustomerUpdateManifest",
    26: "RecoveryManifest",
    27: "ManifestSet",
    28: "Other",
}
ONE_BL = 1
APPLICATIONS = 10
FIRMWARE_CONFIG = 13
TRUSTED_KEYSTORE = 19
CUSTOMER_BOARD_CONFIG = 21
UPDATE_CERT_STORE = 22

SIGNATURE_ALGORITHMS: Mapping[int, str] = {1: "ECDsa256", 2: "ECDsa384"}
COMPRESSION_ALGORITHMS: Mapping[int, str] = {1: "Lzma"}
ABI_KINDS: Mapping[int, str] = {0: "NoDependency", 1: "SecureWorldRuntime", 2: "OSRuntime", 3: "ApplicationRuntime"}
OS_RUNTIME = 2
APPLICATION_RUNTIME = 3

REMOVE_AT_BOOT = 1
UNDER_DEVELOPMENT = 2
TEMPORARY_FLAGS: Mapping[int, str] = {REMOVE_AT_BOOT: "RemoveAtBoot", UNDER_DEVELOPMENT: "UnderDevelopment"}
POLICY_FLAGS: Mapping[int, str] = {1: "InvalidateFromNormalWorld", 2: "SideloadFromNormalWorld"}

# A root file system for a gateway with 512 MB of memory; bounds what a device reads before it verifies.
PACKAGE_LIMIT_BYTES = 256 * 1024 * 1024
NAME_LIMIT_BYTES = 31  # the field has 32 bytes and ends with a zero
BUILT_LIMIT = 253_402_300_799  # 9999-12-31T23:59:59Z: the last second that calendars in use can show
SECURITY_VERSION_LIMIT = 31  # one bit each of a 32-bit fuse word
ABI_LIMIT = 16  # the SDK writes at most one entry; room for one per kind and side, several times over
OPAQUE_LIMIT_BYTES = 4096  # legacy sections: larger than any seen, smaller than the metadata limit
THUMBPRINT_BYTES = 20

_IDENTITY = struct.Struct("<HH16s16s")


@dataclass(frozen=True, slots=True)
class Identity:
    """ID: which image this is."""

    ID: ClassVar[int] = 0x4449
    image_type: int  # key of IMAGE_TYPES
    component_id: UUID  # the same from build to build
    image_id: UUID  # new with each build

    def pack(self) -> bytes:
        """36 bytes."""
        return _IDENTITY.pack(self.image_type, 0, self.component_id.bytes_le, self.image_id.bytes_le)

    @classmethod
    def unpack(cls, data: bytes, offset: int) -> Identity:
        """Read 36 bytes. Raises WireError."""
        _exact(data, offset, 36)
        image_type, reserved, component_id, image_id = _IDENTITY.unpack(data)
        _known(image_type, IMAGE_TYPES, offset, "image type")
        if reserved != 0:
            raise WireError(FORMAT, offset=offset + 2, expected="reserved field 0", got=f"{reserved:#x}")
        return cls(image_type, UUID(bytes_le=component_id), UUID(bytes_le=image_id))


@dataclass(frozen=True, slots=True)
class SigningKey:
    """SG: which certificate's key made the signature."""

    ID: ClassVar[int] = 0x4753
    thumbprint: bytes  # SHA-1 over the certificate's DER, 20 bytes
    algorithm: int  # key of SIGNATURE_ALGORITHMS

    def pack(self) -> bytes:
        """24 bytes."""
        return self.thumbprint + struct.pack("<I", self.algorithm)

    @classmethod
    def unpack(cls, data: bytes, offset: int) -> SigningKey:
        """Read 24 bytes. Raises WireError."""
        _exact(data, offset, 24)
        algorithm = int.from_bytes(data[THUMBPRINT_BYTES:], "little")
        _known(algorithm, SIGNATURE_ALGORITHMS, offset + THUMBPRINT_BYTES, "signature algorithm")
        return cls(data[:THUMBPRINT_BYTES], algorithm)


@dataclass(frozen=True, slots=True)
class Debug:
    """DB: for people."""

    ID: ClassVar[int] = 0x4244
    built: int  # Unix seconds; 0 when the builder did not say
    name: str  # at most 31 bytes of UTF-8

    def pack(self) -> bytes:
        """40 bytes."""
        return struct.pack("<Q32s", self.built, self.name.encode("utf-8"))

    @classmethod
    def unpack(cls, data: bytes, offset: int) -> Debug:
        """Read 40 bytes. Raises WireError."""
        _exact(data, offset, 40)
        built = int.from_bytes(data[:8], "little")
        _at_most(built, BUILT_LIMIT, offset, "a build time in Unix seconds")
        name, zero, rest = data[8:].partition(b"\0")
        if not zero or rest.strip(b"\0"):
            raise WireError(
                FORMAT, offset=offset + 8, expected="a name padded with zeros to 32 bytes", got=data[8:].hex()
            )
        try:
            return cls(built, name.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise WireError(FORMAT, offset=offset + 8, expected="a name in UTF-8", got=name.hex()) from error


class _Word:
    """A section of one u32: the only field of the dataclass."""

    __slots__ = ()

    def pack(self) -> bytes:
        """4 bytes."""
        return struct.pack("<I", *astuple(self))  # type: ignore[call-overload]  # each kind is a dataclass


@dataclass(frozen=True, slots=True)
class TemporaryImage(_Word):
    """TP: how long the image may stay. ``flags`` is a sum of keys of :data:`TEMPORARY_FLAGS`."""

    ID: ClassVar[int] = 0x5054
    flags: int

    @classmethod
    def unpack(cls, data: bytes, offset: int) -> TemporaryImage:
        """Read 4 bytes. Raises WireError."""
        return cls(_flags(_word(data, offset), TEMPORARY_FLAGS, offset))


@dataclass(frozen=True, slots=True)
class Abi:
    """One versioned interface. ``kind`` is a key of :data:`ABI_KINDS`."""

    version: int
    kind: int


@dataclass(frozen=True, slots=True)
class _AbiList:
    """Versioned interfaces: their number, then 8 bytes each."""

    abis: tuple[Abi, ...]

    def pack(self) -> bytes:
        """4 + 8 x count bytes."""
        words = (word for abi in self.abis for word in (abi.version, abi.kind))
        return struct.pack(f"<{1 + 2 * len(self.abis)}I", len(self.abis), *words)

    @classmethod
    def unpack(cls, data: bytes, offset: int) -> Self:
        """Read the list. Raises WireError."""
        if len(data) < 4:
            raise WireError(
                FORMAT, offset=offset - 2, expected="a section of at least 4 bytes", got=f"{len(data)} bytes"
            )
        count = _at_most(int.from_bytes(data[:4], "little"), ABI_LIMIT, offset, "a count")
        _exact(data, offset, 4 + 8 * count)
        abis = tuple(Abi(version, kind) for version, kind in struct.iter_unpack("<II", data[4:]))
        for index, abi in enumerate(abis):
            _known(abi.kind, ABI_KINDS, offset + 8 + 8 * index, "ABI kind")
        return cls(abis)


class AbiDepends(_AbiList):
    """ND: interfaces the image needs."""

    __slots__ = ()
    ID: ClassVar[int] = 0x444E


class AbiProvides(_AbiList):
    """NP: interfaces the image offers."""

    __slots__ = ()
    ID: ClassVar[int] = 0x504E


@dataclass(frozen=True, slots=True)
class Compression:
    """CM: the payload is a whole inner image package, compressed. It is kept as data and not unpacked here."""

    ID: ClassVar[int] = 0x4D43
    uncompressed_bytes: int  # size of the inner package
    algorithm: int  # key of COMPRESSION_ALGORITHMS

    def pack(self) -> bytes:
        """8 bytes."""
        return struct.pack("<II", self.uncompressed_bytes, self.algorithm)

    @classmethod
    def unpack(cls, data: bytes, offset: int) -> Compression:
        """Read 8 bytes. Raises WireError."""
        _exact(data, offset, 8)
        size, algorithm = struct.unpack("<II", data)
        if size == 0:
            raise WireError(FORMAT, offset=offset, expected="an uncompressed size above 0", got="0")
        _known(algorithm, COMPRESSION_ALGORITHMS, offset + 4, "compression algorithm")
        return cls(size, algorithm)


@dataclass(frozen=True, slots=True)
class Revocation(_Word):
    """RV: the image's security version, 0 to 31; rises only when older images must no longer boot."""

    ID: ClassVar[int] = 0x5652
    security_version: int

    @classmethod
    def unpack(cls, data: bytes, offset: int) -> Revocation:
        """Read 4 bytes. Raises WireError."""
        return cls(_at_most(_word(data, offset), SECURITY_VERSION_LIMIT, offset, "a security version"))


@dataclass(frozen=True, slots=True)
class RequiredFlashOffset(_Word):
    """RO: where in flash the image must lie, bytes."""

    ID: ClassVar[int] = 0x4F52
    flash_offset: int

    @classmethod
    def unpack(cls, data: bytes, offset: int) -> RequiredFlashOffset:
        """Read 4 bytes. Raises WireError."""
        return cls(_word(data, offset))


@dataclass(frozen=True, slots=True)
class ImagePolicy(_Word):
    """IP: what the normal world may do with the image. ``flags`` is a sum of keys of :data:`POLICY_FLAGS`."""

    ID: ClassVar[int] = 0x5049
    flags: int

    @classmethod
    def unpack(cls, data: bytes, offset: int) -> ImagePolicy:
        """Read 4 bytes. Raises WireError."""
        return cls(_flags(_word(data, offset), POLICY_FLAGS, offset))


@dataclass(frozen=True, slots=True)
class LegacySection:
    """AD, AP or LG: kept byte for byte, not interpreted."""

    id: int  # key of LEGACY_SECTIONS
    data: bytes

    @property
    def ID(self) -> int:  # noqa: N802 - the same name as the other sections' constant
        """The section's id."""
        return self.id

    def pack(self) -> bytes:
        """The bytes as they were read."""
        return self.data


LEGACY_SECTIONS: Mapping[int, str] = {0x4441: "LegacyABIDepends", 0x5041: "LegacyABIProvides", 0x474C: "Legacy"}

Section = (
    Identity
    | SigningKey
    | Debug
    | TemporaryImage
    | AbiDepends
    | AbiProvides
    | Compression
    | Revocation
    | RequiredFlashOffset
    | ImagePolicy
    | LegacySection
)

_READERS: Mapping[int, Callable[[bytes, int], Section]] = {
    kind.ID: kind.unpack for kind in get_args(Section) if kind is not LegacySection
}


def unpack(section_id: int, data: bytes, offset: int) -> Section:
    """Read one section from its data, which begins at ``offset`` in the package.

    Raises WireError for an unknown id, a wrong length or a value that the section does not allow.
    """
    reader = _READERS.get(section_id)
    if reader is not None:
        return reader(data, offset)
    if section_id not in LEGACY_SECTIONS:
        raise WireError(FORMAT, offset=offset - 4, expected="a known section id", got=f"{section_id:#06x}")
    if len(data) > OPAQUE_LIMIT_BYTES:
        raise WireError(
            FORMAT, offset=offset - 2, expected=f"at most {OPAQUE_LIMIT_BYTES} bytes", got=f"{len(data)} bytes"
        )
    return LegacySection(section_id, data)


def _exact(data: bytes, offset: int, size: int) -> None:
    if len(data) != size:
        raise WireError(FORMAT, offset=offset - 2, expected=f"a section of {size} bytes", got=f"{len(data)} bytes")


def _word(data: bytes, offset: int) -> int:
    _exact(data, offset, 4)
    return int.from_bytes(data, "little")


def _known(value: int, known: Mapping[int, str], offset: int, what: str) -> None:
    if value not in known:
        raise WireError(FORMAT, offset=offset, expected=f"a known {what}", got=str(value))


def _at_most(value: int, limit: int, offset: int, what: str) -> int:
    if value > limit:
        raise WireError(FORMAT, offset=offset, expected=f"{what} of at most {limit}", got=str(value))
    return value


def _flags(value: int, known: Mapping[int, str], offset: int) -> int:
    if value & ~sum(known):
        raise WireError(FORMAT, offset=offset, expected=f"flags of {sum(known):#x}", got=f"{value:#x}")
    return value

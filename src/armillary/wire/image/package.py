# SPDX-License-Identifier: Apache-2.0
"""Image packages: a payload, metadata that says what it is, and a signature. Byte-compatible with Azure Sphere.

All little endian::

    payload | zeros to a multiple of 4 | metadata | [1BL block] | signature
    metadata  = magic 0x4D345834 "4X4M" u32 | section_count u32 | sections | total_len u32
                total_len counts the whole metadata, itself included (0x94 for the SDK's applications)
    1BL block = info1, info2, info3, chip id, major, minor, patch, security version; u32 each, 32 bytes
    signature = r || s, big endian: 64 bytes (P-256, SHA-256) or 96 bytes (P-384, SHA-384)

A package is read from its end. The signature covers payload, padding and metadata. The payload's length is not
stored, so padding belongs to the payload here; formats that know their own length (ASXipFS, capability files)
check that what follows is fewer than four zero bytes.

The 1BL block exists in first-stage boot loaders only (image type 1, always 16 KiB in all) and is **outside the
signed bytes**, as azuresphere_imagemetadata computes them. Nothing may be decided on it: the field is called
``unsigned_one_bl``, and the security version that counts is the signed RV section's.

Stricter than the Python library: one section of each kind, sections fill the metadata exactly, unknown ids,
flags and enumerators refused (see ``wire/image/section.py``), signature length must match the algorithm.

Source: azuresphere_imagemetadata 0.2.2 and packages built by the Azure Sphere SDK 19.x to 22.x.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

from armillary.errors import SignatureError, WireError
from armillary.wire.image import metadata as image_metadata, section as image_section
from armillary.wire.image.metadata import OneBlBlock
from armillary.wire.image.section import (
    FORMAT,
    ONE_BL,
    Abi,
    AbiDepends,
    Debug,
    Identity,
    Revocation,
    Section,
    SigningKey,
    TemporaryImage,
)

if TYPE_CHECKING:
    from hashlib import _Hash

ONE_BL_PACKAGE_BYTES = 16 * 1024
# More than metadata and signature have: 0x94 bytes and 64 of the SDK's applications, some hundred of an OS component.
_END_BYTES = 4096

# Algorithm -> (curve, hash, bytes of r and of s).
_ALGORITHMS: dict[int, tuple[type[ec.EllipticCurve], hashes.HashAlgorithm, int]] = {
    1: (ec.SECP256R1, hashes.SHA256(), 32),
    2: (ec.SECP384R1, hashes.SHA384(), 48),
}

_SectionType = TypeVar("_SectionType", bound=Section)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """What a package says; shared by the verified and the unverified value, which are unrelated types."""

    data: bytes = field(repr=False)  # the whole package
    payload_bytes: int  # length of payload and padding
    signed_length: int  # number of leading bytes that the signature covers
    sections: tuple[Section, ...]  # in the order in which they stand
    signature: bytes = field(repr=False)  # r || s, 64 or 96 bytes
    unsigned_one_bl: OneBlBlock | None  # of a first-stage boot loader; never decide on it
    hashed: bytes = field(default=b"", repr=False, compare=False)  # the digest, where it is known already

    @property
    def payload(self) -> bytes:
        """Payload with its padding of fewer than four zeros."""
        return self.data[: self.payload_bytes]

    @property
    def digest(self) -> bytes:
        """SHA-256 over the whole package: what boot measures."""
        return self.hashed or hashlib.sha256(self.data).digest()

    @property
    def identity(self) -> Identity:
        """The identity section."""
        return _required(self.sections, Identity, self.payload_bytes)

    @property
    def signing_key(self) -> SigningKey:
        """The signature section."""
        return _required(self.sections, SigningKey, self.payload_bytes)

    @property
    def image_type(self) -> int:
        """Key of ``IMAGE_TYPES`` of ``section.py``."""
        return self.identity.image_type

    @property
    def component_id(self) -> UUID:
        """What stays the same from build to build."""
        return self.identity.component_id

    @property
    def image_id(self) -> UUID:
        """New with each build."""
        return self.identity.image_id

    @property
    def name(self) -> str:
        """Name from the debug section, or an empty string."""
        debug = self.section(Debug)
        return "" if debug is None else debug.name

    @property
    def built(self) -> int:
        """Build time in Unix seconds, 0 when unknown."""
        debug = self.section(Debug)
        return 0 if debug is None else debug.built

    @property
    def security_version(self) -> int:
        """The signed security version (RV), 0 when absent."""
        revocation = self.section(Revocation)
        return 0 if revocation is None else revocation.security_version

    @property
    def temporary_flags(self) -> int:
        """Flags of the temporary image section, 0 when absent."""
        temporary = self.section(TemporaryImage)
        return 0 if temporary is None else temporary.flags

    def section(self, kind: type[_SectionType]) -> _SectionType | None:
        """The section of this kind, or None."""
        return next((section for section in self.sections if isinstance(section, kind)), None)


class UnverifiedImagePackage(_Content):
    """A package that parses. Nobody has checked who signed it."""

    __slots__ = ()


class ImagePackage(_Content):
    """A package whose signature a trusted key made. Only :func:`verify` makes this value."""

    __slots__ = ()


def parse(data: bytes) -> UnverifiedImagePackage:
    """Read a package.

    Raises:
        WireError: too short or too long, bad magic, wrong lengths, overlapping, duplicate, unknown or missing
            sections, or a value that a section does not allow.
    """
    if len(data) > image_section.PACKAGE_LIMIT_BYTES:
        raise WireError(FORMAT, expected=f"at most {image_section.PACKAGE_LIMIT_BYTES} bytes", got=f"{len(data)} bytes")
    start, end = image_metadata.find(data)
    count = image_metadata.word(data, start + 4)
    sections = image_metadata.parse_sections(data, start + image_metadata.HEADER_BYTES, end - 4, count)
    _required(sections, Identity, start)
    signing_key = _required(sections, SigningKey, start)
    signature_bytes = 2 * _ALGORITHMS[signing_key.algorithm][2]
    block_bytes = len(data) - end - signature_bytes
    if block_bytes not in (0, image_metadata.ONE_BL_BLOCK_BYTES):
        raise WireError(
            FORMAT, offset=end, expected=f"a signature of {signature_bytes} bytes", got=f"{len(data) - end} bytes"
        )
    package = UnverifiedImagePackage(
        data=data,
        payload_bytes=start,
        signed_length=end,
        sections=sections,
        signature=data[-signature_bytes:],
        unsigned_one_bl=OneBlBlock.unpack(data, end) if block_bytes else None,
    )
    _check_one_bl(package)
    return package


@dataclass(frozen=True, slots=True)
class BegunHash:
    """SHA-256 over the first ``length`` bytes of ``data``: begun before anybody looked at what the package says."""

    data: bytes = field(repr=False)
    length: int
    state: _Hash = field(repr=False)


def begin_hash(data: bytes) -> BegunHash:
    """Hash all of a package but its end, where metadata and signature are; :func:`verify` hashes these."""
    length = max(0, len(data) - _END_BYTES)
    with memoryview(data) as view:
        return BegunHash(data, length, hashlib.sha256(view[:length]))


def verify(
    package: UnverifiedImagePackage, trusted: Sequence[x509.Certificate], begun: BegunHash | None = None
) -> ImagePackage:
    """Check who signed a package.

    The certificate is looked up by the SHA-1 thumbprint in the signed bytes. SHA-1 only selects among the
    certificates that the caller trusts already; the signature itself is ECDSA with SHA-256 or SHA-384. Whether
    the certificates are still valid is the caller's question: a device without a clock cannot ask it. An ECDSA
    signature has a second form (r, n - s) that verifies as well, so a package is identified by its digest, never by
    its signature. A ``begun`` hash is gone on with if it is of these very bytes; any other is not looked at.

    Raises:
        SignatureError: no trusted certificate has the thumbprint, its key is of another kind than the package
            says, or the signature does not verify.
    """
    signing_key = package.signing_key
    curve, algorithm, size = _ALGORITHMS[signing_key.algorithm]
    key = _trusted_key(signing_key.thumbprint, trusted)
    if not isinstance(key.curve, curve):
        raise SignatureError(FORMAT, expected=f"a key on {curve.name}", got=f"a certificate on {key.curve.name}")
    r, s = (int.from_bytes(part, "big") for part in (package.signature[:size], package.signature[size:]))
    try:
        signed, whole = _hashes(package, algorithm, begun)
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(Prehashed(algorithm)))
    except InvalidSignature as error:
        raise SignatureError(
            FORMAT,
            offset=len(package.data) - len(package.signature),
            expected=f"a signature by the key of certificate {signing_key.thumbprint.hex()}",
            got="one that does not verify",
        ) from error
    return ImagePackage(**{each.name: getattr(package, each.name) for each in fields(package)} | {"hashed": whole})


def _hashes(
    package: UnverifiedImagePackage, algorithm: hashes.HashAlgorithm, begun: BegunHash | None
) -> tuple[bytes, bytes]:
    """The hash that is signed, and SHA-256 of the whole package; its bytes, tens of MB on a gateway, are read once."""
    signed, at = hashlib.new(algorithm.name), 0
    if begun is not None and _is_of(begun, package) and algorithm.name == "sha256":
        signed, at = begun.state.copy(), begun.length
    with memoryview(package.data) as data:
        signed.update(data[at : package.signed_length])
        whole = signed.copy() if algorithm.name == "sha256" else hashlib.sha256(data[: package.signed_length])
        whole.update(data[package.signed_length :])
    return signed.digest(), whole.digest()


def _is_of(begun: BegunHash, package: UnverifiedImagePackage) -> bool:
    """Whether it is of these very bytes, the same object, and of nothing behind what is signed."""
    return begun.data is package.data and begun.length <= package.signed_length


def standard_sections(
    *,
    image_type: int,
    component_id: UUID,
    image_id: UUID,
    name: str,
    built: int,
    temporary_flags: int | None = None,
    abi_depends: Sequence[Abi] | None = None,
    security_version: int | None = None,
) -> tuple[Section, ...]:
    """Sections in the SDK's order (ID, then SG which :func:`build` inserts, DB, TP, ND), then RV.

    ``name`` is shortened to 31 bytes of UTF-8, as the SDK does; ``built`` is in Unix seconds. Of the last three
    arguments None leaves the section out; an empty list of interfaces writes a count of 0.
    """
    short = name.encode("utf-8")[: image_section.NAME_LIMIT_BYTES].decode("utf-8", "ignore")
    sections: list[Section] = [Identity(image_type, component_id, image_id), Debug(built, short)]
    if temporary_flags is not None:
        sections.append(TemporaryImage(temporary_flags))
    if abi_depends is not None:
        sections.append(AbiDepends(tuple(abi_depends)))
    if security_version is not None:
        sections.append(Revocation(security_version))
    return tuple(sections)


def build(
    payload: bytes,
    *,
    sections: Iterable[Section],
    key: ec.EllipticCurvePrivateKey,
    certificate: x509.Certificate,
    one_bl: OneBlBlock | None = None,
) -> bytes:
    """Write and sign a package. The same arguments give the same bytes (RFC 6979 signatures).

    Args:
        payload: Padded here with zeros to a multiple of four, or to fill 16 KiB when ``one_bl`` is given.
        sections: Without SG, which is inserted after the first. Identity comes first in SDK packages.
        key: P-256 or P-384.
        certificate: Of ``key``; its thumbprint is written into the package.
        one_bl: For image type 1 only.

    Raises:
        SignatureError: the certificate is not of this key, or the key is on another curve.
        WireError: what would be written does not parse.
    """
    signing_key = _signing_key(key, certificate)
    kept = [section for section in sections if not isinstance(section, SigningKey)]
    metadata = image_metadata.pack([*kept[:1], signing_key, *kept[1:]])
    size = _ALGORITHMS[signing_key.algorithm][2]
    padding = -len(payload) % 4
    if one_bl is not None:
        padding = ONE_BL_PACKAGE_BYTES - len(payload) - len(metadata) - image_metadata.ONE_BL_BLOCK_BYTES - 2 * size
        if padding < 0:
            raise WireError(
                FORMAT, expected=f"a boot loader of at most {len(payload) + padding} bytes", got=f"{len(payload)} bytes"
            )
    signed = payload + bytes(padding) + metadata
    block = b"" if one_bl is None else one_bl.pack()
    package = signed + block + _sign(signed, key, signing_key.algorithm)
    parse(package)
    return package


def resign(
    package: ImagePackage | UnverifiedImagePackage, *, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
) -> bytes:
    """The same package signed with another key: only the SG section and the signature change.

    Whether the package deserves the new signature is the caller's decision; verify it first.

    Raises:
        SignatureError: the certificate is not of this key, or the key is on another curve.
        WireError: the result does not parse (a boot loader grows past 16 KiB under a longer signature).
    """
    signing_key = _signing_key(key, certificate)
    sections = [signing_key if isinstance(section, SigningKey) else section for section in package.sections]
    signed = package.payload + image_metadata.pack(sections)
    block = b"" if package.unsigned_one_bl is None else package.unsigned_one_bl.pack()
    data = signed + block + _sign(signed, key, signing_key.algorithm)
    parse(data)
    return data


def _required(sections: Iterable[Section], kind: type[_SectionType], offset: int) -> _SectionType:
    for section in sections:
        if isinstance(section, kind):
            return section
    raise WireError(FORMAT, offset=offset, expected=f"a section {kind.__name__}", got="none")


def _check_one_bl(package: UnverifiedImagePackage) -> None:
    """A 1BL block stands behind first-stage boot loaders, in 16 KiB in all, and repeats the signed version."""
    block = package.unsigned_one_bl
    offset = package.signed_length
    if package.image_type != ONE_BL:
        if block is not None:
            raise WireError(FORMAT, offset=offset, expected="no 1BL block in this image type", got="one")
        return
    if block is None or len(package.data) != ONE_BL_PACKAGE_BYTES:
        raise WireError(
            FORMAT,
            offset=offset,
            expected=f"a 1BL block and {ONE_BL_PACKAGE_BYTES} bytes in all",
            got=f"{'no' if block is None else 'a'} block and {len(package.data)} bytes",
        )
    if block.security_version != package.security_version:
        raise WireError(
            FORMAT,
            offset=offset + 28,
            expected=f"the signed security version {package.security_version}",
            got=str(block.security_version),
        )


def _trusted_key(thumbprint: bytes, trusted: Sequence[x509.Certificate]) -> ec.EllipticCurvePublicKey:
    for certificate in trusted:
        if _thumbprint(certificate) == thumbprint:
            key = certificate.public_key()
            if isinstance(key, ec.EllipticCurvePublicKey):
                return key
    raise SignatureError(
        FORMAT, expected=f"the thumbprint of one of {len(trusted)} trusted EC certificates", got=thumbprint.hex()
    )


def _thumbprint(certificate: x509.Certificate) -> bytes:
    return certificate.fingerprint(hashes.SHA1())  # noqa: S303 - the format's choice; it selects, it does not prove


def _signing_key(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> SigningKey:
    if certificate.public_key() != key.public_key():
        raise SignatureError(FORMAT, expected="the certificate of the signing key", got="another key's certificate")
    for algorithm, (curve, _, _) in _ALGORITHMS.items():
        if isinstance(key.curve, curve):
            return SigningKey(_thumbprint(certificate), algorithm)
    raise SignatureError(FORMAT, expected="a key on P-256 or P-384", got=f"a key on {key.curve.name}")


def _sign(signed: bytes, key: ec.EllipticCurvePrivateKey, algorithm: int) -> bytes:
    _, digest, size = _ALGORITHMS[algorithm]
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(digest, deterministic_signing=True)))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")

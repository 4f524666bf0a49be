# SPDX-License-Identifier: Apache-2.0
"""Image packages: what the builder writes, what the parser refuses and where, who verifies."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from tests.fixtures.images import COMPONENT, IMAGE, P256, P384, SDK_SECTIONS, pair

from armillary.errors import SignatureError, WireError
from armillary.wire.image import metadata as image_metadata, package as image_package, section as image_section
from armillary.wire.image.metadata import OneBlBlock


def thumbprint(certificate: x509.Certificate) -> bytes:
    return certificate.fingerprint(hashes.SHA1())  # noqa: S303 - the format's choice


def sdk_package(payload: bytes = b"payload!", signer: tuple = P256, **changes: object) -> bytes:
    """A package with the sections of an SDK application."""
    sections = image_package.standard_sections(**(SDK_SECTIONS | changes))
    return image_package.build(payload, sections=sections, key=signer[0], certificate=signer[1])


def with_sections(*sections: object, payload: bytes = b"") -> bytes:
    return image_package.build(payload, sections=sections, key=P256[0], certificate=P256[1])


IDENTITY = image_section.Identity(10, COMPONENT, IMAGE)


def test_application_has_the_sdk_layout():
    data = sdk_package(bytes(4096))
    package = image_package.parse(data)
    assert [type(section) for section in package.sections] == [
        image_section.Identity,
        image_section.SigningKey,
        image_section.Debug,
        image_section.TemporaryImage,
        image_section.AbiDepends,
    ]
    total = struct.unpack_from("<I", data, len(data) - 68)[0]
    assert total == 0x94, "the SDK's applications have 148 bytes of metadata"
    assert data[4096:4104] == struct.pack("<II", 0x4D345834, 5)
    identity = data[4104:4144]
    assert identity[:8] == bytes.fromhex("4944 2400 0a00 0000".replace(" ", ""))
    assert identity[8:24].hex() == "0f4b072f9dd9924682d9ef93a7d6463c", "GUIDs are in .NET byte order"
    assert package.signing_key.thumbprint == thumbprint(P256[1])
    assert (package.name, package.built, package.image_type) == ("blink", 1_654_786_668, 10)
    assert (package.component_id, package.image_id) == (COMPONENT, IMAGE)
    assert len(package.signature) == 64


def test_same_arguments_give_the_same_bytes():
    assert sdk_package() == sdk_package()


@pytest.mark.parametrize("length", range(5))
def test_payload_is_padded_to_four_bytes(length: int):
    package = image_package.parse(sdk_package(b"x" * length))
    assert package.payload == b"x" * length + bytes(-length % 4)


@pytest.mark.parametrize("signer", [P256, P384], ids=["P-256", "P-384"])
def test_verifies_with_the_signers_certificate_among_others(signer: tuple):
    data = sdk_package(signer=signer)
    others = [pair(ec.SECP256R1(), number)[1] for number in (8, 9)]
    verified = image_package.verify(image_package.parse(data), [*others, signer[1]])
    assert isinstance(verified, image_package.ImagePackage)
    assert verified.data == data
    assert len(verified.signature) == (64 if signer is P256 else 96)


def test_every_signed_byte_and_every_signature_byte_counts():
    data = sdk_package()
    for position in range(len(data)):
        mutant = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        with pytest.raises(WireError):
            image_package.verify(image_package.parse(mutant), [P256[1]])


def test_unknown_signer_is_refused_with_its_thumbprint():
    stranger = pair(ec.SECP256R1(), 99)
    with pytest.raises(SignatureError, match=thumbprint(stranger[1]).hex()):
        image_package.verify(image_package.parse(sdk_package(signer=stranger)), [P256[1]])
    with pytest.raises(SignatureError):
        image_package.verify(image_package.parse(sdk_package()), [])


def test_thumbprint_of_a_trusted_certificate_does_not_help_a_stranger():
    data = bytearray(sdk_package(signer=pair(ec.SECP256R1(), 99)))
    package = image_package.parse(bytes(data))
    at = bytes(data).index(package.signing_key.thumbprint)
    data[at : at + 20] = thumbprint(P256[1])
    with pytest.raises(SignatureError, match="does not verify"):
        image_package.verify(image_package.parse(bytes(data)), [P256[1]])


@pytest.mark.parametrize("signer", [P256, P384], ids=["P-256", "P-384"])
def test_the_digest_of_a_verified_package_is_that_of_all_its_bytes(signer):
    data = sdk_package(signer=signer)
    unverified = image_package.parse(data)
    package = image_package.verify(unverified, [signer[1]])
    assert package.digest == unverified.digest == hashlib.sha256(data).digest()
    assert package.hashed, "what was hashed to verify it is not hashed again"
    assert not unverified.hashed


@pytest.mark.parametrize("signer", [P256, P384], ids=["P-256", "P-384"])
@pytest.mark.parametrize("size", [0, 10_000])
def test_a_hash_that_was_begun_changes_nothing_of_what_is_verified(signer: tuple, size: int):
    data = sdk_package(b"x" * size, signer=signer)
    begun = image_package.begin_hash(data)
    package = image_package.verify(image_package.parse(data), [signer[1]], begun)
    assert package == image_package.verify(image_package.parse(data), [signer[1]])
    assert package.digest == hashlib.sha256(data).digest()
    if size:
        changed = bytes([data[0] ^ 1]) + data[1:]
        with pytest.raises(SignatureError, match="does not verify"):
            image_package.verify(image_package.parse(changed), [signer[1]], begun)


def test_zero_signature_is_refused():
    data = sdk_package()
    with pytest.raises(SignatureError):
        image_package.verify(image_package.parse(data[:-64] + bytes(64)), [P256[1]])


def test_algorithm_must_be_the_keys():
    package = image_package.parse(sdk_package())
    wrong_curve = image_section.SigningKey(thumbprint(P384[1]), 1)
    forged = image_package.UnverifiedImagePackage(
        data=package.data,
        payload_bytes=package.payload_bytes,
        signed_length=package.signed_length,
        sections=(IDENTITY, wrong_curve),
        signature=package.signature,
        unsigned_one_bl=None,
    )
    with pytest.raises(SignatureError, match="secp256r1"):
        image_package.verify(forged, [P384[1]])


def test_build_refuses_a_certificate_of_another_key():
    with pytest.raises(SignatureError, match="another key"):
        sdk_package(signer=(P256[0], pair(ec.SECP256R1(), 99)[1]))
    unusual = ec.derive_private_key(7, ec.SECP256K1())
    name = x509.Name([])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(unusual.public_key())
        .serial_number(1)
        .not_valid_before(P256[1].not_valid_before_utc)
        .not_valid_after(P256[1].not_valid_after_utc)
        .sign(unusual, hashes.SHA256())
    )
    with pytest.raises(SignatureError, match="secp256k1"):
        sdk_package(signer=(unusual, built))


@pytest.mark.parametrize("signer", [P256, P384], ids=["to P-256", "to P-384"])
def test_resign_changes_the_signer_only(signer: tuple):
    before = image_package.parse(sdk_package(bytes(100)))
    after = image_package.verify(
        image_package.parse(image_package.resign(before, key=signer[0], certificate=signer[1])), [signer[1]]
    )
    assert after.payload == before.payload
    assert [s for s in after.sections if not isinstance(s, image_section.SigningKey)] == [
        s for s in before.sections if not isinstance(s, image_section.SigningKey)
    ]
    assert [type(s) for s in after.sections] == [type(s) for s in before.sections]


ALL_SECTIONS = (
    IDENTITY,
    image_section.Debug(253_402_300_799, "n" * 31),
    image_section.TemporaryImage(3),
    image_section.AbiDepends(tuple(image_section.Abi(2**32 - 1, kind) for kind in range(4))),
    image_section.AbiProvides(()),
    image_section.Compression(4096, 1),
    image_section.Revocation(31),
    image_section.RequiredFlashOffset(0x8000),
    image_section.ImagePolicy(3),
    *(image_section.LegacySection(section_id, bytes(section_id % 7)) for section_id in image_section.LEGACY_SECTIONS),
)


def test_every_section_survives():
    package = image_package.parse(with_sections(*ALL_SECTIONS, payload=b"lzma data"))
    assert tuple(s for s in package.sections if not isinstance(s, image_section.SigningKey)) == ALL_SECTIONS
    assert package.security_version == 31
    assert package.temporary_flags == 3
    assert package.payload == b"lzma data\0\0\0", "compressed payloads are kept as data"


@pytest.mark.parametrize("image_type", image_section.IMAGE_TYPES)
def test_every_image_type_can_be_built(image_type: int):
    block = OneBlBlock((0, 0, 0), 0, (1, 2, 3), 0) if image_type == 1 else None
    data = image_package.build(
        b"x",
        sections=[image_section.Identity(image_type, COMPONENT, IMAGE)],
        key=P256[0],
        certificate=P256[1],
        one_bl=block,
    )
    assert image_package.parse(data).image_type == image_type


def test_long_names_are_cut_at_a_character():
    assert image_package.parse(sdk_package(name="ü" * 20)).name == "ü" * 15
    assert image_package.parse(sdk_package(name="a" * 40)).name == "a" * 31


# -- first-stage boot loaders --------------------------------------------------------------------------------------


def one_bl(signer: tuple = P256, *, security_version: int = 5, block_version: int = 5) -> bytes:
    sections = image_package.standard_sections(
        image_type=1, component_id=COMPONENT, image_id=IMAGE, name="1bl", built=0, security_version=security_version
    )
    block = OneBlBlock((1, 2, 3), 0x3620, (26, 11, 0), block_version)
    return image_package.build(b"loader", sections=sections, key=signer[0], certificate=signer[1], one_bl=block)


@pytest.mark.parametrize("signer", [P256, P384], ids=["P-256", "P-384"])
def test_boot_loader_is_16_kib_with_its_block(signer: tuple):
    data = one_bl(signer)
    assert len(data) == 16 * 1024
    package = image_package.verify(image_package.parse(data), [signer[1]])
    assert package.unsigned_one_bl == OneBlBlock((1, 2, 3), 0x3620, (26, 11, 0), 5)
    again = image_package.resign(package, key=P384[0], certificate=P384[1]) if signer is P384 else data
    assert len(again) == 16 * 1024


def test_boot_loaders_block_must_repeat_the_signed_version():
    with pytest.raises(WireError, match="signed security version 5"):
        one_bl(block_version=4)


def test_boot_loader_too_large_for_16_kib_is_refused():
    sections = image_package.standard_sections(
        image_type=1, component_id=COMPONENT, image_id=IMAGE, name="1bl", built=0, security_version=0
    )
    block = OneBlBlock((0, 0, 0), 0, (0, 0, 0), 0)
    with pytest.raises(WireError, match="boot loader of at most"):
        image_package.build(bytes(16 * 1024), sections=sections, key=P256[0], certificate=P256[1], one_bl=block)


def test_block_belongs_to_boot_loaders_only():
    with pytest.raises(WireError, match="no 1BL block"):
        image_package.build(
            b"", sections=[IDENTITY], key=P256[0], certificate=P256[1], one_bl=OneBlBlock((0, 0, 0), 0, (0, 0, 0), 0)
        )
    with pytest.raises(WireError, match="1BL block"):
        with_sections(image_section.Identity(1, COMPONENT, IMAGE))


# -- hostile inputs ------------------------------------------------------------------------------------------------


def metadata_of(*sections: bytes, count: int | None = None, total: int | None = None, magic: int = 0x4D345834) -> bytes:
    """Hand-made package: metadata from raw section bytes, and a signature of zeros."""
    content = b"".join(sections)
    length = 8 + len(content) + 4
    header = struct.pack("<II", magic, len(sections) if count is None else count)
    return header + content + struct.pack("<I", length if total is None else total) + bytes(64)


def section(section_id: int, data: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HH", section_id, len(data) if length is None else length) + data


ID = section(0x4449, IDENTITY.pack())
SG = section(0x4753, bytes(20) + struct.pack("<I", 1))

HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "at least"),
    "one byte short of the minimum": (bytes(143), "at least"),
    "zeros": (bytes(4096), "metadata length"),
    "bad magic": (metadata_of(ID, SG, magic=0x4D345835), "magic"),
    "length past the start": (metadata_of(ID, SG, total=2**31), "metadata length"),
    "length of the file": (metadata_of(ID, SG, total=0xFFFFFFFF), "metadata length"),
    "length too small": (metadata_of(ID, SG, total=8), "metadata length"),
    "length off by one": (metadata_of(ID, SG, total=81), "metadata length"),
    "no sections": (bytes(200) + metadata_of(bytes(68), count=0), "sections"),
    "four billion sections": (metadata_of(ID, SG, count=2**32 - 1), "sections"),
    "one section too many": (metadata_of(ID, SG, count=3), "section header"),
    "one section too few": (metadata_of(ID, SG, section(0x5054, bytes(4)), count=2), "fill the metadata"),
    "section runs past the end": (metadata_of(ID, section(0x4753, bytes(24), 25)), "at most 24"),
    "section of 64 KiB": (metadata_of(ID, section(0x4753, bytes(24), 0xFFFF)), "at most 24"),
    "section twice": (metadata_of(ID, SG, ID), "twice"),
    "unknown section": (metadata_of(ID, SG, section(0x5858, b"")), "known section id"),
    "undefined section": (metadata_of(ID, SG, section(0, bytes(4))), "known section id"),
    "no identity": (metadata_of(SG, section(0x474C, bytes(36))), "section Identity"),
    "no signature section": (metadata_of(ID, section(0x474C, bytes(24))), "section SigningKey"),
    "identity too short": (metadata_of(section(0x4449, bytes(35)), SG, section(0x5054, bytes(4))), "36 bytes"),
    "image type 0": (metadata_of(section(0x4449, bytes(36)), SG), "known image type"),
    "image type 11": (metadata_of(section(0x4449, b"\x0b" + bytes(35)), SG), "known image type"),
    "reserved field set": (metadata_of(section(0x4449, b"\x0a\0\x01" + bytes(33)), SG), "reserved"),
    "signature algorithm 0": (metadata_of(ID, section(0x4753, bytes(24))), "signature algorithm"),
    "signature algorithm 3": (metadata_of(ID, section(0x4753, bytes(20) + b"\3\0\0\0")), "signature algorithm"),
    "P-384 with 64 bytes": (metadata_of(ID, section(0x4753, bytes(20) + b"\2\0\0\0")), "signature of 96"),
    "name without its zero": (metadata_of(ID, SG, section(0x4244, bytes(8) + b"a" * 32)), "padded with zeros"),
    "bytes behind the name": (metadata_of(ID, SG, section(0x4244, bytes(8) + b"a\0b" + bytes(29))), "padded"),
    "name not UTF-8": (metadata_of(ID, SG, section(0x4244, bytes(8) + b"\xff" + bytes(31))), "UTF-8"),
    "built in the year 10000": (metadata_of(ID, SG, section(0x4244, b"\xff" * 8 + bytes(32))), "build time"),
    "temporary flag 4": (metadata_of(ID, SG, section(0x5054, b"\4\0\0\0")), "flags"),
    "policy flag 4": (metadata_of(ID, SG, section(0x5049, b"\4\0\0\0")), "flags"),
    "ABI count larger than its section": (metadata_of(ID, SG, section(0x444E, b"\2\0\0\0" + bytes(8))), "20 bytes"),
    "ABI count of four billion": (metadata_of(ID, SG, section(0x444E, b"\xff" * 4)), "count of at most"),
    "ABI section of 3 bytes": (metadata_of(ID, SG, section(0x444E, bytes(3)), b"\0"), "section"),
    "ABI kind 4": (metadata_of(ID, SG, section(0x504E, struct.pack("<III", 1, 1, 4))), "ABI kind"),
    "compression algorithm 0": (metadata_of(ID, SG, section(0x4D43, struct.pack("<II", 1, 0))), "compression"),
    "uncompressed size 0": (metadata_of(ID, SG, section(0x4D43, struct.pack("<II", 0, 1))), "uncompressed size"),
    "security version 32": (metadata_of(ID, SG, section(0x5652, b"\x20\0\0\0")), "security version"),
    "legacy section too long": (metadata_of(ID, SG, section(0x474C, bytes(4097))), "4096"),
    "metadata not aligned": (b"x" + metadata_of(ID, SG), "multiple of 4"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_is_refused(name: str):
    data, reason = HOSTILE[name]
    with pytest.raises(WireError, match=reason) as caught:
        image_package.parse(data)
    assert caught.value.format == "image-package"
    assert caught.value.expected
    assert caught.value.got


def test_hand_made_package_is_accepted_when_nothing_is_wrong():
    """Positive control of the table above."""
    assert image_package.parse(metadata_of(ID, SG)).image_id == IMAGE


def test_metadata_that_can_be_found_in_two_places_is_refused():
    ambiguous = bytearray(bytes(4096) + metadata_of(ID, SG, section(0x474C, bytes(84))))
    # a legacy section holding a second magic and, 96 bytes before the end, a second total_len
    end = len(ambiguous) - 96
    struct.pack_into("<I", ambiguous, end - 4, end)
    struct.pack_into("<I", ambiguous, 0, 0x4D345834)
    with pytest.raises(WireError, match="ambiguous"):
        image_package.parse(bytes(ambiguous))
    struct.pack_into("<I", ambiguous, 0, 0)
    assert image_package.parse(bytes(ambiguous)).image_id == IMAGE, "without the second magic it is a package"


def test_oversized_input_is_refused_before_anything_is_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(image_section, "PACKAGE_LIMIT_BYTES", 1000)
    with pytest.raises(WireError, match="at most 1000 bytes"):
        image_package.parse(sdk_package(bytes(1000)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: image_section.Identity(70000, COMPONENT, IMAGE),
        lambda: image_section.Revocation(-1),
        lambda: image_section.TemporaryImage(2**40),
    ],
)
def test_values_that_do_not_fit_are_refused_when_built(make: Callable[[], object]):
    sections = [make()] if isinstance(make(), image_section.Identity) else [IDENTITY, make()]
    with pytest.raises(WireError, match="fit their fields"):
        with_sections(*sections)


def test_limits_are_consistent():
    assert image_metadata.METADATA_MINIMUM_BYTES == 80
    largest = sum(4 + 4096 for _ in image_section.LEGACY_SECTIONS)
    assert largest < image_metadata.METADATA_LIMIT_BYTES

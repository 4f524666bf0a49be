# SPDX-License-Identifier: Apache-2.0
"""Our image packages and Microsoft's Python library (azuresphere_imagemetadata) read each other.

Known defects of the library that these tests work around: ``CapabilitiesSection.size()`` is too small to serialise;
``TempImageMetadataFlags.get_flag_names`` names one of two flags; only 64-byte signatures convert, so P-384 cannot be
verified with it; it re-serialises the signature section last; a boot loader's 1BL block is dropped when it writes.

The library's test key is read from the installed package: it proves format, never trust.
"""

from __future__ import annotations

import pytest
from azuresphere_imagemetadata.image import Image
from azuresphere_imagemetadata.metadata_sections import IdentitySection
from azuresphere_imagemetadata.metadata_sections.abi import ABIDependsSection
from azuresphere_imagemetadata.metadata_sections.debug import DebugSection
from azuresphere_imagemetadata.metadata_sections.image_policy import ImagePolicySection
from azuresphere_imagemetadata.metadata_sections.internal.capabilities import CapabilitiesSection
from azuresphere_imagemetadata.metadata_sections.required_offset import RequiredOffsetSection
from azuresphere_imagemetadata.metadata_sections.revocation import RevocationSection
from azuresphere_imagemetadata.metadata_sections.temporary_image import TempImageMetadataSection
from azuresphere_imagemetadata.signing.app_development import AppDevelopmentSigner
from azuresphere_imagemetadata.signing.signer import Signer, SigningMap
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from tests.fixtures.images import COMPONENT, IMAGE, P256, SDK_SECTIONS, pair, sdk_pair

from armillary.errors import SignatureError
from armillary.wire.image import capability_file, package as image_package, section as image_section
from armillary.wire.image.metadata import OneBlBlock

KEY, CERTIFICATE = P256


def oracle_signer() -> Signer:
    """The library's signer around our key."""
    data = pkcs12.serialize_key_and_certificates(b"ours", KEY, CERTIFICATE, None, BestAvailableEncryption(b"x"))
    return Signer(SigningMap(ecdsa_256=pkcs12.load_pkcs12(data, b"x")))


def ours(**changes: object) -> bytes:
    sections = image_package.standard_sections(**(SDK_SECTIONS | changes))
    return image_package.build(bytes(4096), sections=sections, key=KEY, certificate=CERTIFICATE)


def test_the_library_reads_and_verifies_ours():
    data = ours()
    image = Image(data)
    assert image.has_valid_signature([oracle_signer()])
    assert not image.has_valid_signature([AppDevelopmentSigner()])
    assert image.data == bytes(4096)
    identity = image.metadata.identity
    assert (identity.image_type, identity.component_uid, identity.image_uid) == (10, str(COMPONENT), str(IMAGE))
    assert (image.metadata.debug.image_name, image.metadata.debug.debug_time) == ("blink", 1_654_786_668)
    assert image.metadata.tempinfo.flags.flags == 2
    (depends,) = image.metadata.sections_by_name("ABI Depends")
    assert [(abi.version, abi.type) for abi in depends.versions] == [(12, 3)]


def test_the_library_rejects_ours_with_one_flipped_byte():
    data = bytearray(ours())
    data[10] ^= 1
    assert not Image(bytes(data)).has_valid_signature([oracle_signer()])


def test_the_library_reads_every_section_that_we_write():
    sections = (
        image_section.Identity(17, COMPONENT, IMAGE),
        image_section.Debug(1, "everything"),
        image_section.TemporaryImage(1),
        image_section.AbiDepends((image_section.Abi(5, 1), image_section.Abi(6, 2))),
        image_section.AbiProvides((image_section.Abi(7, 3),)),
        image_section.Compression(12345, 1),
        image_section.Revocation(9),
        image_section.RequiredFlashOffset(0x10000),
        image_section.ImagePolicy(3),
    )
    image = Image(image_package.build(b"data", sections=sections, key=KEY, certificate=CERTIFICATE))
    assert image.has_valid_signature([oracle_signer()])
    (provides,) = image.metadata.sections_by_name("ABI Provides")
    (revocation,) = image.metadata.sections_by_name("Revocation")
    (offset,) = image.metadata.sections_by_name("Required Offset")
    (policy,) = image.metadata.sections_by_name("Image Policy")
    assert [(abi.version, abi.type) for abi in provides.versions] == [(7, 3)]
    assert image.metadata.compression_info.uncompressed_size == 12345
    assert revocation.version == 9
    assert offset.offset == 0x10000
    assert policy.flags.get_flags_name() == ["InvalidateFromNormalWorld", "SideloadFromNormalWorld"]


def theirs() -> bytes:
    """A package that the library writes and signs with the SDK's test key."""
    image = Image()
    image.data = b"their payload"
    identity = IdentitySection()
    identity.image_type, identity.component_uid, identity.image_uid = 10, str(COMPONENT), str(IMAGE)
    debug = DebugSection()
    debug.debug_time, debug.image_name_raw = 1_600_000_000, b"theirs".ljust(32, b"\0")
    temporary, depends = TempImageMetadataSection(), ABIDependsSection()
    temporary.flags.flags = 3
    revocation, offset, policy = RevocationSection(), RequiredOffsetSection(), ImagePolicySection()
    revocation.version, offset.offset, policy.flags.flags = 4, 64, 1
    for section in (identity, debug, temporary, depends, revocation, offset, policy):
        image.metadata.add_section(section)
    return bytes(image.serialize())


def test_we_read_and_verify_theirs():
    package = image_package.verify(image_package.parse(theirs()), [sdk_pair()[1]])
    assert package.payload == b"their payload" + bytes(3)
    assert (package.image_type, package.component_id, package.image_id) == (10, COMPONENT, IMAGE)
    assert (package.name, package.built) == ("theirs", 1_600_000_000)
    assert package.sections[1:7] == (
        image_section.Debug(1_600_000_000, "theirs"),
        image_section.TemporaryImage(3),
        image_section.AbiDepends(()),
        image_section.Revocation(4),
        image_section.RequiredFlashOffset(64),
        image_section.ImagePolicy(1),
    )
    assert isinstance(package.sections[-1], image_section.SigningKey), (
        "the library moves the signature section to the end"
    )
    assert package.signing_key.thumbprint.hex() == "a8d5cc6958f48710140d7a26160fc1cfc31f5df0"


def test_the_sdks_key_is_not_trusted_by_anybody_who_does_not_name_it():
    with pytest.raises(SignatureError):
        image_package.verify(image_package.parse(theirs()), [CERTIFICATE])


def test_a_package_signed_with_the_sdks_key_by_us_is_theirs():
    key, certificate = sdk_pair()
    data = image_package.resign(image_package.parse(ours()), key=key, certificate=certificate)
    assert Image(data).has_valid_signature()


def test_production_signing_replaces_the_sdks_signature():
    data = image_package.resign(image_package.parse(theirs()), key=KEY, certificate=CERTIFICATE)
    assert Image(data).has_valid_signature([oracle_signer()])
    assert not Image(data).has_valid_signature()


def test_their_serialiser_keeps_what_ours_wrote():
    again = image_package.parse(bytes(Image(ours()).serialize(signer=oracle_signer())))
    before = image_package.parse(ours())
    assert set(again.sections) == set(before.sections)
    assert again.payload == before.payload
    image_package.verify(again, [CERTIFICATE])


@pytest.mark.parametrize("security_version", [0, 5, 28])
def test_the_library_finds_our_1bl_block_and_agrees_on_the_signed_bytes(security_version: int):
    sections = image_package.standard_sections(
        image_type=1, component_id=COMPONENT, image_id=IMAGE, name="1bl", built=0, security_version=security_version
    )
    block = OneBlBlock((1, 2, 3), 4, (5, 6, 7), security_version)
    data = image_package.build(b"loader", sections=sections, key=KEY, certificate=CERTIFICATE, one_bl=block)
    image = Image(data)
    assert image.metadata.onebl.security_version_number == security_version
    assert (image.metadata.onebl.chip_id, image.metadata.onebl.major) == (4, 5)
    assert image.has_valid_signature([oracle_signer()])


def test_the_library_parses_our_p384_packages():
    key, certificate = pair(ec.SECP384R1())
    sections = image_package.standard_sections(
        image_type=10, component_id=COMPONENT, image_id=IMAGE, name="p384", built=0
    )
    data = image_package.build(bytes(64), sections=sections, key=key, certificate=certificate)
    image = Image(data)
    assert image.metadata.signature_size == 96
    assert image.metadata.signature.signing_type.signing_type == 2
    # the library cannot verify 96-byte signatures; ours can
    image_package.verify(image_package.parse(data), [certificate])


def test_the_library_reads_our_capability_files():
    data = capability_file.build(
        "0123456789abcdef" * 8, [0xB, 0xD], image_id=IMAGE, built=0, key=KEY, certificate=CERTIFICATE
    )
    image = Image(data)
    assert image.has_valid_signature([oracle_signer()])
    capabilities = CapabilitiesSection(image.data)
    assert (capabilities.version, capabilities.data_length) == (1, 204)
    assert capabilities.device_id == "0123456789abcdef" * 8
    assert capabilities.capabilities == [0xB, 0xD]

# SPDX-License-Identifier: Apache-2.0
"""Round trips of the Azure formats, and mutation: a changed byte is refused with the format's error or still parses."""

from __future__ import annotations

import dataclasses
import random
import string
from uuid import UUID

from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples
from tests.fixtures.images import P256, P384

from armillary.errors import ManifestError, WireError
from armillary.wire.image import app_manifest, asxipfs, capability_file, package as image_package, section
from armillary.wire.image.app_manifest import CAPABILITY_KEYS, AppManifest, Capabilities

KEYS = {"P-256": P256, "P-384": P384}

words = st.integers(0, 2**32 - 1)
abis = st.lists(st.builds(section.Abi, words, st.integers(0, 3)), max_size=16).map(tuple)
names = st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), max_size=31).filter(
    lambda name: len(name.encode()) <= 31
)
identities = st.builds(
    section.Identity, st.sampled_from(sorted(set(section.IMAGE_TYPES) - {1})), st.uuids(), st.uuids()
)
optional_sections = st.fixed_dictionaries(
    {},
    optional={
        "debug": st.builds(section.Debug, st.integers(0, 253_402_300_799), names),
        "temporary": st.builds(section.TemporaryImage, st.integers(0, 3)),
        "depends": st.builds(section.AbiDepends, abis),
        "provides": st.builds(section.AbiProvides, abis),
        "compression": st.builds(section.Compression, st.integers(1, 2**32 - 1), st.just(1)),
        "revocation": st.builds(section.Revocation, st.integers(0, 31)),
        "offset": st.builds(section.RequiredFlashOffset, words),
        "policy": st.builds(section.ImagePolicy, st.integers(0, 3)),
        **{
            name: st.builds(section.LegacySection, st.just(section_id), st.binary(max_size=64))
            for section_id, name in section.LEGACY_SECTIONS.items()
        },
    },
)


@settings(max_examples=examples(150), deadline=None)
@given(
    st.binary(max_size=200),
    identities,
    optional_sections,
    st.randoms(use_true_random=False),
    st.sampled_from(sorted(KEYS)),
)
def test_image_package_round_trip(
    payload: bytes, identity: section.Identity, optional: dict, shuffler: random.Random, curve: str
):
    sections = list(optional.values())
    shuffler.shuffle(sections)
    key, certificate = KEYS[curve]
    data = image_package.build(payload, sections=[identity, *sections], key=key, certificate=certificate)
    package = image_package.verify(image_package.parse(data), [certificate])
    assert package.payload == payload + bytes(-len(payload) % 4)
    assert [s for s in package.sections if not isinstance(s, section.SigningKey)] == [identity, *sections]
    assert image_package.resign(package, key=key, certificate=certificate) == data


PACKAGE = image_package.build(
    b"payload!",
    sections=image_package.standard_sections(
        image_type=10,
        component_id=UUID(int=1),
        image_id=UUID(int=2),
        name="x",
        built=1,
        temporary_flags=2,
        abi_depends=[section.Abi(12, 3)],
        security_version=1,
    ),
    key=KEYS["P-256"][0],
    certificate=KEYS["P-256"][1],
)


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(0, len(PACKAGE) - 1), st.integers(1, 255), st.integers(0, len(PACKAGE)))
def test_image_package_mutation_never_verifies(position: int, change: int, length: int):
    mutant = bytearray(PACKAGE)
    mutant[position] ^= change
    for data in (bytes(mutant), PACKAGE[:length], PACKAGE[length:]):
        if data == PACKAGE:
            continue
        try:
            image_package.verify(image_package.parse(data), [KEYS["P-256"][1]])
        except WireError:
            continue
        raise AssertionError("a changed package verified")


file_names = st.text(string.ascii_letters + string.digits + "._+- ", min_size=1, max_size=24).filter(
    lambda name: name not in (".", "..")
)
paths = st.lists(file_names, min_size=1, max_size=4).map("/".join)


def without_clashes(files: dict[str, bytes]) -> dict[str, bytes]:
    """Drop files whose path is another file's folder."""
    return {
        path: content for path, content in files.items() if not any(other.startswith(path + "/") for other in files)
    }


trees = st.dictionaries(paths, st.binary(max_size=64) | st.sampled_from([b"", b"x" * 4096, b"y" * 5000]), max_size=12)


@settings(max_examples=examples(150), deadline=None)
@given(trees.map(without_clashes).filter(bool), st.data())
def test_asxipfs_round_trip(files: dict[str, bytes], data: st.DataObject):
    executables = data.draw(st.sets(st.sampled_from(sorted(files))))
    image = asxipfs.build(files, executables)
    found = asxipfs.read(image).files
    assert {path: file.content for path, file in found.items()} == files
    assert {path for path, file in found.items() if file.executable} == executables
    assert asxipfs.build(dict(reversed(files.items())), sorted(executables)) == image


IMAGE = asxipfs.build({"app_manifest.json": b"{}", "bin/app": b"x" * 100, "lib/a/b": b"y"}, {"bin/app"})


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(0, len(IMAGE) - 1), st.integers(1, 255))
def test_asxipfs_mutation_is_refused(position: int, change: int):
    mutant = bytearray(IMAGE)
    mutant[position] ^= change
    try:
        asxipfs.read(bytes(mutant))
    except WireError:
        return
    raise AssertionError("the checksum covers every byte")


texts = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f"), min_size=1, max_size=30
)
labels = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
hosts = st.lists(labels, min_size=1, max_size=4).map(".".join) | st.ip_addresses().map(str)
peripheral_sets = st.lists(st.sampled_from([f"ISU{number}" for number in range(5)]), unique=True, max_size=5).flatmap(
    lambda found: st.integers(0, len(found)).map(lambda cut: (tuple(found[:cut]), tuple(found[cut:])))
)
ports = st.lists(st.integers(1, 65535), unique=True, max_size=5).map(tuple)
BOOLEANS = [entry.name for entry in dataclasses.fields(Capabilities) if entry.type == "bool"]


@st.composite
def capabilities(draw: st.DrawFn) -> Capabilities:
    uart, spi = draw(peripheral_sets)
    return Capabilities(
        allowed_connections=draw(st.lists(hosts, unique=True, max_size=5).map(tuple)),
        allowed_tcp_server_ports=draw(ports),
        allowed_udp_server_ports=draw(ports),
        allowed_application_connections=draw(st.lists(st.uuids(), unique=True, max_size=3).map(tuple)),
        gpio=draw(st.lists(st.integers(0, 1023), unique=True, max_size=6).map(tuple)),
        uart=uart,
        spi_master=spi,
        mutable_storage_kb=draw(st.integers(0, 64)),
        power_controls=draw(st.lists(st.sampled_from(app_manifest.POWER_CONTROLS), unique=True).map(tuple)),
        device_authentication=draw(st.none() | st.uuids()),
        **{name: draw(st.booleans()) for name in BOOLEANS},
    )


manifests = st.builds(
    AppManifest,
    name=texts,
    component_id=st.uuids(),
    entry_point=st.just("/bin/app"),
    cmd_args=st.lists(st.just("") | texts, max_size=4).map(tuple),
    application_type=st.sampled_from(app_manifest.APPLICATION_TYPES),
    capabilities=capabilities(),
    malloc_version=st.none() | st.integers(1, 2),
    target_application_runtime_version=st.none() | st.integers(1, 2**32 - 1),
    target_beta_apis=st.none() | texts,
)


@settings(max_examples=examples(150), deadline=None)
@given(manifests)
def test_app_manifest_round_trip(manifest: AppManifest):
    assert app_manifest.parse(app_manifest.encode(manifest)) == manifest


MANIFEST = app_manifest.encode(
    AppManifest(
        name="x",
        component_id=UUID(int=1),
        entry_point="/bin/app",
        capabilities=Capabilities(allowed_connections=("example.com",), gpio=(8,), mutable_storage_kb=8),
    )
)


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(0, len(MANIFEST) - 1), st.integers(1, 255), st.binary(max_size=6))
def test_app_manifest_mutation_raises_nothing_else(position: int, change: int, inserted: bytes):
    mutant = bytearray(MANIFEST)
    mutant[position] ^= change
    for data in (bytes(mutant), MANIFEST[:position] + inserted + MANIFEST[position:], MANIFEST[:position]):
        try:
            manifest = app_manifest.parse(data, resolved=False)
        except ManifestError:
            continue
        assert app_manifest.parse(app_manifest.encode(manifest), resolved=False) == manifest


def test_every_boolean_capability_is_drawn():
    assert {attribute for attribute, _, _ in CAPABILITY_KEYS.values()} >= set(BOOLEANS)
    assert len(BOOLEANS) == 14


@settings(max_examples=examples(60), deadline=None)
@given(
    st.binary(min_size=64, max_size=64),
    st.lists(st.sampled_from(sorted(capability_file.CAPABILITIES)), min_size=1, unique=True),
    st.uuids(),
    st.integers(0, 253_402_300_799),
)
def test_capability_file_round_trip(device_id: bytes, capabilities: list[int], image_id: UUID, built: int):
    key, certificate = KEYS["P-256"]
    data = capability_file.build(
        device_id.hex(), capabilities, image_id=image_id, built=built, key=key, certificate=certificate
    )
    file = capability_file.verify(capability_file.parse(data), [certificate], device_id=device_id.hex())
    assert (file.device_id, file.capabilities) == (device_id.hex(), tuple(capabilities))
    assert (file.package.image_id, file.package.built) == (image_id, built)

# SPDX-License-Identifier: Apache-2.0
"""A development image is apart from the release image in all that says what it is, and is no release by itself."""

from __future__ import annotations

import fnmatch
import json
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from tests.device_image.test_recipe import NEVER

from armillary import content
from armillary.boot import profile
from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.device_image.keys import keys_of, secure_boot_keys
from armillary.device_image.packages import PAYLOADS, write_packages
from armillary.device_image.recipe import pins_file, read_pins, read_recipe, recipe_folder
from armillary.device_image.root_tree import os_release
from armillary.errors import InvalidArgumentError
from armillary.wire.device_image.command_line import DEVELOPMENT, VerifiedRoot, command_line, root_of

CHIP = profile.parse(content.chip_document("gateway-x86-64"))


def test_its_recipe_is_the_release_images_with_tools_that_a_release_never_has() -> None:
    release, made = read_recipe(recipe_folder()), read_recipe(recipe_folder(), development=True)
    assert made.packages[: len(release.packages)] == release.packages
    added = {Path(name).name for name in made.links.keys() - release.links.keys()}
    assert {"sh", "tar", "nc"} <= added
    assert [
        name for name in map(Path, release.links) if any(fnmatch.fnmatchcase(name.name, each) for each in NEVER)
    ] == []
    for architecture in ARCHITECTURES:
        assert "busybox-static" in read_pins(pins_file(recipe_folder(), architecture))


def test_its_version_name_and_keys_say_what_it_is(tmp_path: Path) -> None:
    release, made = read_recipe(recipe_folder()), read_recipe(recipe_folder(), development=True)
    assert made.version == f"{release.version}-development"
    assert read_recipe(recipe_folder(), development=True, version="26.13").version == "26.13-development"
    assert "DEVELOPMENT" not in os_release(release)
    assert 'NAME="Armillary OS DEVELOPMENT"\n' in os_release(made)
    assert "VARIANT_ID=development\n" in os_release(made)
    for development, word in ((False, "TEST"), (True, "DEVELOPMENT")):
        pair = secure_boot_keys(tmp_path / word, development=development)["signing"]
        subject = x509.load_pem_x509_certificate(pair.certificate.read_bytes()).subject
        (name,) = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert name.value == f"Armillary {word} signing key (never for products)"


@pytest.mark.parametrize("development", [True, False])
def test_no_key_signs_both_kinds(tmp_path: Path, development: bool) -> None:
    made = secure_boot_keys(tmp_path, development=development)
    assert secure_boot_keys(tmp_path, development=development) == made
    with pytest.raises(InvalidArgumentError, match="got one of the other kind"):
        secure_boot_keys(tmp_path, development=not development)
    assert keys_of(tmp_path, development=development) == made
    with pytest.raises(InvalidArgumentError, match="got one of the other kind"):
        keys_of(tmp_path, development=not development)
    made["platform"].certificate.write_text("no certificate")
    with pytest.raises(InvalidArgumentError, match=r"platform\.pem: expected a certificate"):
        secure_boot_keys(tmp_path, development=development)


def test_its_mark_is_a_word_of_the_signed_command_line() -> None:
    root = VerifiedRoot("a" * 64, "b" * 64, 7)
    line = command_line(root, consoles=("ttyS0",), built_at=1, more=(DEVELOPMENT,))
    assert DEVELOPMENT in line.split()
    assert root_of(line) == root
    assert DEVELOPMENT not in command_line(root, consoles=("ttyS0",), built_at=1)


def test_it_becomes_a_release_only_where_somebody_says_so(tmp_path: Path) -> None:
    for name in PAYLOADS.values():
        (tmp_path / name).write_bytes(name.encode())
    digests = {name: sha256((tmp_path / name).read_bytes()).hexdigest() for name in PAYLOADS.values()}
    about = {"architecture": "x86_64", "sha256": digests, "development": True}
    (tmp_path / "image.json").write_text(json.dumps(about))
    with pytest.raises(InvalidArgumentError, match="a development image is no release") as refused:
        write_packages(tmp_path, CHIP, security_version=1)
    assert "--allow-development" in refused.value.remedy
    assert [*tmp_path.glob("*.package")] == []
    assert write_packages(tmp_path, CHIP, security_version=1, allow_development=True).keys() == PAYLOADS.keys()


def test_a_recipe_does_not_call_itself_one(tmp_path: Path) -> None:
    text = (recipe_folder() / "image.toml").read_text("utf-8")
    (tmp_path / "image.toml").write_text(f"development = true\n{text}", "utf-8")
    with pytest.raises(InvalidArgumentError, match="development is not said here"):
        read_recipe(tmp_path)


def test_every_link_of_the_overlay_leads_to_the_one_program() -> None:
    release, made = read_recipe(recipe_folder()), read_recipe(recipe_folder(), development=True)
    for place in made.links.keys() - release.links.keys():
        assert (Path(place).parent / made.links[place]).as_posix() == "usr/bin/busybox"

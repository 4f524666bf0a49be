# SPDX-License-Identifier: Apache-2.0
"""Later OSes of an image that U-Boot starts: another root, bound in both slots' command lines, signed by the same key."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.device_image.uboot.test_signed_file import ROOT, TOOLS, built, check

from armillary.device_image.flashing.key_files import SIGNER
from armillary.device_image.keys import certificate_of, secure_boot_keys
from armillary.device_image.packages import PAYLOADS
from armillary.device_image.power.later import make_later, security_version_of, signing_key
from armillary.device_image.root_image import BLOCK_BYTES
from armillary.device_image.tools import digest_of, run
from armillary.device_image.uboot.boards import SD_TREE
from armillary.device_image.uboot.signed_file import SignedFile, compiled, verified_root
from armillary.errors import HostError, InvalidArgumentError

pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in (*TOOLS, "veritysetup")),
    reason="no mkimage, dtc or veritysetup; to enable: sudo ./scripts/install-image-tools x86_64 imx8mp",
)
DATA = b"".join(number.to_bytes(2) * (BLOCK_BYTES // 2) for number in range(ROOT.blocks))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("image")


@pytest.fixture(scope="module")
def made(image: Path) -> SignedFile:
    found = built(image, "armhf")
    (image / "slot.fit").write_bytes(found.content)
    (image / SD_TREE).write_bytes(found.control_tree)
    (image / "root.img").write_bytes(DATA + bytes(BLOCK_BYTES))
    (image / "image.json").write_text('{"architecture": "armhf"}')
    return found


def test_both_slots_of_a_later_os_bind_its_own_tree_over_the_same_data(
    image: Path, made: SignedFile, tmp_path: Path
) -> None:
    later = make_later(image, tmp_path / "later", number=1)
    signed, root = (later / "started.img").read_bytes(), later / "root.img"
    assert len(signed) % BLOCK_BYTES == 0
    bound = verified_root(signed)
    assert bound != ROOT
    assert signed.count(bound.word().encode()) == 2
    assert ROOT.root_hash.encode() not in signed
    assert root.read_bytes()[: len(DATA)] == DATA
    words = ("--no-superblock", "--hash=sha256", f"--salt={bound.salt}", f"--data-blocks={bound.blocks}")
    run(["veritysetup", "verify", *words, f"--hash-offset={len(DATA)}", root, root, bound.root_hash])
    about = json.loads((later / "image.json").read_bytes())
    assert about["architecture"] == "armhf"
    assert about["sha256"] == {name: digest_of(later / name) for name in PAYLOADS.values()}
    assert check(tmp_path, signed, made.control_tree, "a")
    assert check(tmp_path, signed, made.control_tree, "b")


def test_each_later_os_is_another_one_and_always_the_same(image: Path, made: SignedFile, tmp_path: Path) -> None:
    one, two, again = (
        json.loads((make_later(image, tmp_path / str(place), number=number) / "image.json").read_bytes())["sha256"]
        for place, number in enumerate((1, 2, 1))
    )
    assert one == again
    assert not {*one.values()} & {*two.values()}


def test_a_file_that_does_not_bind_its_root_in_both_slots_is_refused(
    image: Path, made: SignedFile, tmp_path: Path
) -> None:
    other = tmp_path / "image"
    shutil.copytree(image, other)
    word = ROOT.word().encode()
    (other / "slot.fit").write_bytes(made.content[::-1].replace(word[::-1], word.upper()[::-1], 1)[::-1])
    with pytest.raises(HostError, match="root hash 2 times in the signed file, found it 1 times"):
        make_later(other, tmp_path / "later", number=1)


def test_the_keys_are_those_that_signed_the_image(image: Path, made: SignedFile, tmp_path: Path) -> None:
    """Beside it, or where they are kept; one that U-Boot would not believe is refused before anything is made."""
    alone, elsewhere = tmp_path / "image", tmp_path / "elsewhere"
    shutil.copytree(image, alone)
    shutil.move(alone / "keys", elsewhere)
    with pytest.raises(InvalidArgumentError, match="expected the keys of a build") as refused:
        signing_key(alone, None)
    assert "--keys" in (refused.value.remedy or "")
    key = signing_key(alone, elsewhere)
    assert key.key == elsewhere / "signing.key"
    secure_boot_keys(tmp_path / "others")
    with pytest.raises(InvalidArgumentError, match="expected the certificate of the key that signed"):
        signing_key(alone, tmp_path / "others")
    (alone / SD_TREE).write_bytes(compiled("/dts-v1/; / { chosen { }; };"))  # of a U-Boot that asks for no key
    with pytest.raises(InvalidArgumentError, match="expected the certificate of the key that signed"):
        signing_key(alone, elsewhere)


def test_of_an_image_that_firmware_starts_the_build_keeps_the_certificate(tmp_path: Path) -> None:
    """Where it keeps none nobody can say whose the image is."""
    (tmp_path / "image.json").write_text('{"architecture": "x86_64"}')
    key = secure_boot_keys(tmp_path / "keys")["signing"]
    with pytest.raises(InvalidArgumentError, match="expected what the build kept of the key"):
        signing_key(tmp_path, None)
    trusted = tmp_path / SIGNER
    trusted.parent.mkdir()
    trusted.write_bytes(certificate_of(key).public_bytes(Encoding.DER))
    assert signing_key(tmp_path, None) == key
    trusted.write_bytes(b"another certificate")
    with pytest.raises(InvalidArgumentError, match="expected the certificate of the key that signed"):
        signing_key(tmp_path, None)


def test_every_third_later_os_closes_the_way_back_up_to_the_highest_security_version() -> None:
    assert [security_version_of(number) for number in range(1, 8)] == [1, 1, 2, 2, 2, 3, 3]
    assert [security_version_of(number) for number in (89, 90, 1000)] == [30, 31, 31]

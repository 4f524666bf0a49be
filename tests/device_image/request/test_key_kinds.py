# SPDX-License-Identifier: Apache-2.0
"""Keys that no firmware would verify with are refused by name, with the line that makes one; days are said."""

from __future__ import annotations

import datetime as dt
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.device_image.made_keys import BEGIN, END, Private, put_pair, put_pairs, rsa_key

from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.device_image.keys import NAMES, keys_of
from armillary.device_image.request.key_kinds import days_missed, usable_keys
from armillary.errors import InvalidArgumentError

UEFI, UBOOT = (
    [name for name, each in ARCHITECTURES.items() if each.has_uefi is has_uefi] for has_uefi in (True, False)
)
CURVE = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize("bits", [2048, 3072])
@pytest.mark.parametrize("architecture", UEFI)
def test_uefi_takes_rsa_from_2048_bits_on_for_each_of_the_keys(tmp_path: Path, architecture: str, bits: int) -> None:
    keys = put_pairs(tmp_path, bits)
    assert usable_keys(keys, ARCHITECTURES[architecture]) == keys


@pytest.mark.parametrize("architecture", UBOOT)
def test_u_boot_takes_rsa_of_2048_bits_and_knows_the_signing_key_alone(tmp_path: Path, architecture: str) -> None:
    keys = put_pairs(tmp_path, 3072) | {"signing": put_pair(tmp_path, "signing", rsa_key(2048))}
    assert usable_keys(keys, ARCHITECTURES[architecture]) == {"signing": keys["signing"]}


REFUSED: list[tuple[str, str, Private, str, str]] = [
    *((each, name, CURVE, "RSA with at least 2048 bits", "no RSA key") for each in UEFI for name in NAMES),
    *((each, "signing", rsa_key(1024), "RSA with at least 2048 bits", "RSA with 1024 bits") for each in UEFI),
    *((each, "signing", CURVE, "RSA with 2048 bits", "no RSA key") for each in UBOOT),
    *(
        (each, "signing", rsa_key(bits), "RSA with 2048 bits", f"RSA with {bits} bits")
        for each in UBOOT
        for bits in (1024, 3072)
    ),
]


@pytest.mark.parametrize(("architecture", "name", "key", "expected", "got"), REFUSED)
def test_another_kind_or_size_is_refused_by_name(
    tmp_path: Path, architecture: str, name: str, key: Private, expected: str, got: str
) -> None:
    keys = put_pairs(tmp_path) | {name: put_pair(tmp_path, name, key)}
    assert keys_of(tmp_path) == keys, "they are pairs: nothing else is wrong with them"
    with pytest.raises(InvalidArgumentError) as refused:
        usable_keys(keys, ARCHITECTURES[architecture])
    assert refused.value.message.startswith(f"{tmp_path / name}.key: expected {expected}, with which ")
    assert refused.value.message.endswith(f" verifies an image of {architecture}, got {got}")
    assert f"-keyout {name}.key -out {name}.pem" in refused.value.remedy


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl; to enable: sudo apt-get install openssl")
@pytest.mark.parametrize("architecture", ["x86_64", "armhf"])
def test_the_line_that_is_said_makes_one_that_is_taken(tmp_path: Path, architecture: str) -> None:
    keys = put_pairs(tmp_path / "old") | {"signing": put_pair(tmp_path / "old", "signing", CURVE)}
    with pytest.raises(InvalidArgumentError) as refused:
        usable_keys(keys, ARCHITECTURES[architecture])
    (line,) = re.findall(r"openssl req .*", refused.value.remedy)
    put_pairs(tmp_path / "new")
    before = (tmp_path / "new/signing.pem").read_bytes()
    subprocess.run(shlex.split(line), cwd=tmp_path / "new", check=True, capture_output=True)
    assert (tmp_path / "new/signing.pem").read_bytes() != before
    made = keys_of(tmp_path / "new")
    assert usable_keys(made, ARCHITECTURES[architecture])["signing"] == made["signing"]
    late = dt.datetime.now(dt.UTC) + dt.timedelta(days=7000)
    assert [line for line in days_missed(made, at=late) if "signing.pem" in line] == []


SECOND = dt.timedelta(seconds=1)


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (BEGIN - SECOND, "is valid from 2026-03-01 on"),
        (BEGIN, None),
        (END, None),
        (END + SECOND, "was valid until 2036-03-01"),
    ],
)
def test_days_of_a_certificate_are_said_and_not_refused(tmp_path: Path, at: dt.datetime, said: str | None) -> None:
    keys = put_pairs(tmp_path)
    for target in ARCHITECTURES.values():
        used = usable_keys(keys, target)
        wanted = [] if said is None else [f"Attention: {pair.certificate} {said}. " for pair in used.values()]
        found = days_missed(used, at=at)
        assert [line.partition("EDK2")[0] for line in found] == wanted

# SPDX-License-Identifier: Apache-2.0
"""Secure Boot's keys as files for a firmware in setup mode: OpenSSL verifies them, virt-firmware reads the lists."""

from __future__ import annotations

import datetime as dt
import shutil
import struct
import subprocess
from pathlib import Path
from uuid import UUID

import pytest

from armillary.device_image.flashing.key_files import write_key_files
from armillary.device_image.keys import KeyPair, secure_boot_keys
from armillary.errors import WireError
from armillary.wire.device_image.secure_boot_variables import encode_signed

SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
ABOVE = {"PK": "platform", "KEK": "platform", "db": "exchange"}
OWN = {"PK": "platform", "KEK": "exchange", "db": "signing"}
VENDOR = {"db": "d719b2cb-3d3a-4596-a3bc-dad00e67656f"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, KeyPair]:
    return secure_boot_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def folder(keys: dict[str, KeyPair], tmp_path: Path) -> Path:
    write_key_files(tmp_path / "one", keys)
    return tmp_path / "one"


def parts(file: Path) -> tuple[bytes, bytes, bytes]:
    """Time, SignedData and list, taken apart by the words of the specification."""
    data = file.read_bytes()
    size, revision, kind = struct.unpack_from("<IHH", data, 16)
    assert (revision, kind) == (0x0200, 0x0EF1)
    assert UUID(bytes_le=data[24:40]) == UUID("4aafd29d-68df-49ee-8aa9-347d375665a7")
    return data[:16], data[40 : 16 + size], data[16 + size :]


def element(tag: int, content: bytes) -> bytes:
    return bytes([tag, 0x82]) + len(content).to_bytes(2, "big") + content


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl; to enable: sudo apt-get install openssl")
@pytest.mark.parametrize("name", ["PK", "KEK", "db"])
def test_openssl_verifies_what_the_key_above_signed(
    folder: Path, keys: dict[str, KeyPair], tmp_path: Path, name: str
) -> None:
    time, signed, content = parts(folder / f"{name}.auth")
    vendor = UUID(VENDOR.get(name, "8be4df61-93ca-11d2-aa0d-00e098032b8c")).bytes_le
    (tmp_path / "content").write_bytes(name.encode("utf-16-le") + vendor + struct.pack("<I", 0x27) + time + content)
    (tmp_path / "signature").write_bytes(element(0x30, SIGNED_DATA + element(0xA0, signed)))
    words = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", tmp_path / "signature"]
    words += ["-content", tmp_path / "content", "-CAfile", keys[ABOVE[name]].certificate, "-purpose", "any"]
    done = subprocess.run([*words, "-out", "/dev/null"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (tmp_path / "content").write_bytes((tmp_path / "content").read_bytes()[:-1])
    assert subprocess.run([*words, "-out", "/dev/null"], capture_output=True, check=False).returncode != 0


@pytest.mark.skipif(
    shutil.which("virt-fw-sigdb") is None,
    reason="no virt-fw-sigdb; to enable: sudo apt-get install python3-virt-firmware",
)
@pytest.mark.parametrize("name", ["PK", "KEK", "db"])
def test_another_program_reads_the_list(folder: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "list").write_bytes(parts(folder / f"{name}.auth")[2])
    words = ["/usr/bin/virt-fw-sigdb", "--input", tmp_path / "list", "--print"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin"})
    assert f"Armillary TEST {OWN[name]} key (never for products)" in done.stdout, done.stderr


def test_the_same_keys_give_the_same_files(folder: Path, keys: dict[str, KeyPair], tmp_path: Path) -> None:
    write_key_files(tmp_path / "two", keys)
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert files == {file.name: file.read_bytes() for file in (tmp_path / "two").iterdir()}
    assert {*files} == {f"{name}.{kind}" for name in ABOVE for kind in ("auth", "cer")}
    assert parts(folder / "PK.auth")[0] == bytes.fromhex("ea07010100000000") + bytes(8)


@pytest.mark.parametrize("signature", [b"", b"\x30", element(0x30, b"another"), element(0x31, SIGNED_DATA)])
def test_another_signature_than_signed_data_is_refused(signature: bytes) -> None:

    with pytest.raises(WireError, match="secure-boot-signature"):
        encode_signed(b"", dt.datetime(2026, 1, 1, tzinfo=dt.UTC), signature)

# SPDX-License-Identifier: Apache-2.0
"""The certificate that a guardian makes once and keeps."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from armillary.engines.equipment.opcua_identity import FILE, client_identity
from armillary.wire.equipment.faults import LinkError


def test_it_is_made_once_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    made = client_identity(folder)
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600
    kept = client_identity(folder)
    assert (kept.sha256, kept.uri) == (made.sha256, made.uri)
    assert kept.uri.startswith("urn:armillary:guardian:")
    signature = kept.key.sign(b"challenge", padding.PKCS1v15(), SHA256())
    public = made.certificate.public_key()
    public.verify(signature, b"challenge", padding.PKCS1v15(), SHA256())  # type: ignore[union-attr, call-arg]
    assert client_identity(tmp_path / "another").sha256 != made.sha256


def test_it_holds_before_a_clock_was_set(tmp_path: Path) -> None:
    """A guardian that was never told the time thinks that it is 2020 or later, whatever its server thinks."""
    certificate = client_identity(tmp_path).certificate
    assert certificate.not_valid_before_utc <= datetime(2020, 1, 1, tzinfo=UTC)
    assert certificate.not_valid_after_utc.year == 2049
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert usage.data_encipherment


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\n", b"\0" * 4000])
def test_a_damaged_one_is_named_and_left(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(LinkError, match="is damaged: remove it"):
        client_identity(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content


def test_a_key_without_its_certificate_is_damaged(tmp_path: Path) -> None:
    client_identity(tmp_path / "one")
    client_identity(tmp_path / "two")
    one, two = ((tmp_path / name / FILE).read_text() for name in ("one", "two"))
    begin = "-----BEGIN CERTIFICATE-----"
    for mixed in (one.partition(begin)[0], one.partition(begin)[0] + begin + two.partition(begin)[2]):
        (tmp_path / "one" / FILE).write_text(mixed)
        with pytest.raises(LinkError, match="is damaged"):
            client_identity(tmp_path / "one")


def test_what_a_cut_left_beside_it_is_written_over(tmp_path: Path) -> None:
    (tmp_path / FILE).with_suffix(".new").write_bytes(b"half")
    made = client_identity(tmp_path)
    assert client_identity(tmp_path).sha256 == made.sha256
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


def test_a_folder_that_takes_nothing_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LinkError, match="cannot be"):
        client_identity(tmp_path / "file" / "data")

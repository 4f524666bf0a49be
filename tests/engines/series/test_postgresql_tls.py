# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server on another host proves its name before it is told anything; a real server, real TLS."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests import postgresql

from armillary.engines.series.retention import Retention
from armillary.engines.series.store import SeriesStore
from armillary.errors import DatabaseUnavailableError

NAME = "db.example"


class Authority:
    """Certifies itself and a server."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.pem = self._signed(self._name, self._key.public_key(), x509.BasicConstraints(ca=True, path_length=0))

    def server(self, name: str) -> tuple[bytes, bytes]:
        """The certificate of a server and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return self._signed(subject, key.public_key(), names), private

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType) -> bytes:
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number()).add_extension(extension, critical=False)
        builder = builder.not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(hours=1))
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("an authority")


@pytest.fixture(scope="module")
def secure(authority: Authority) -> Iterator[postgresql.Server]:
    running = postgresql.Server(certificate=authority.server(NAME))
    yield running
    running.close()


@pytest.fixture
def trusted(authority: Authority, tmp_path: Path) -> Path:
    path = tmp_path / "authority.pem"
    path.write_bytes(authority.pem)
    return path


def address(server: postgresql.Server, root: Path, *, host: str = NAME, name: str = "series", more: str = "") -> str:
    """A database of the server by its name, at the address where it is here."""
    server.database(name)
    return f"postgresql://postgres@{host}:{server.port}/{name}?hostaddr=127.0.0.1&sslrootcert={root}{more}"


def opened(folder: Path, url: str) -> SeriesStore:
    return SeriesStore(folder, retention=Retention(), listener=lambda *_: None, database=url)


def test_a_server_that_proves_its_name_is_spoken_to_over_tls(
    secure: postgresql.Server, trusted: Path, tmp_path: Path
) -> None:
    store = opened(tmp_path / "hub", address(secure, trusted))
    try:
        with secure.administrator() as connection:
            sessions = connection.execute(
                "SELECT ssl, version FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname = 'series'"
            ).fetchall()
        assert len(sessions) > 1
        assert set(sessions) == {(True, "TLSv1.3")}
    finally:
        store.close(0)


def test_a_server_with_another_name_is_told_nothing(secure: postgresql.Server, trusted: Path, tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError, match=f'certificate for "{NAME}" does not match'):
        opened(tmp_path / "hub", address(secure, trusted, host="other.example"))


def test_a_server_of_another_authority_is_told_nothing(secure: postgresql.Server, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(Authority("another one").pem)
    with pytest.raises(DatabaseUnavailableError, match="certificate verify failed"):
        opened(tmp_path / "hub", address(secure, stranger))


def test_an_authority_that_nobody_named_is_asked_for(
    secure: postgresql.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DatabaseUnavailableError, match="root certificate file"):
        opened(tmp_path / "hub", address(secure, Path()).replace("&sslrootcert=.", ""))


def test_it_is_the_check_that_refuses(secure: postgresql.Server, tmp_path: Path) -> None:
    """The control: told to believe anybody, the same connection is made."""
    believing = address(secure, Path("/none"), host="other.example", name="believed", more="&sslmode=require")
    opened(tmp_path / "hub", believing).close(0)

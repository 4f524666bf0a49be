# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server on another host proves its name before it is told anything; a real server, real TLS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import postgresql
from tests.fixtures.certificates import private_pem, self_signed

from armillary.engines.series.retention import Retention
from armillary.engines.series.store import SeriesStore
from armillary.errors import DatabaseUnavailableError

NAME = "db.example"


class Authority:
    """Certifies itself and a server."""

    def __init__(self, folder: Path, name: str = "one-authority") -> None:
        self._folder = folder
        _, pem, self._pair = self_signed(folder, name, authority=True)
        self.path = folder / f"{name}.pem"
        self.path.write_text(pem)

    def server(self, name: str) -> tuple[bytes, bytes]:
        """The certificate of a server and its key."""
        _, pem, (key, _) = self_signed(self._folder, name, issuer=self._pair, hosts=[name])
        return pem.encode(), private_pem(key)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secure(authority: Authority) -> Iterator[postgresql.Server]:
    running = postgresql.Server(certificate=authority.server(NAME))
    yield running
    running.close()


@pytest.fixture
def trusted(authority: Authority) -> Path:
    return authority.path


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
    stranger = Authority(tmp_path, "another-authority").path
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

# SPDX-License-Identifier: Apache-2.0
"""Where the command line finds its service, and that a token goes nowhere else."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from armillary.cli.terminal import connection
from armillary.errors import InvalidArgumentError


def _environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path), **more}


def test_options_win_over_environment_over_login(tmp_path: Path) -> None:
    connection.store(connection.make_connection("https://stored:1", "t0", "P"), tmp_path / "armillary/service.json")
    found = connection.resolve(None, None, None, _environment(tmp_path))
    assert (found.service, found.token, found.ca_pem) == ("https://stored:1", "t0", "P")
    environment = _environment(tmp_path, ARMILLARY_SERVICE="https://env:2", ARMILLARY_TOKEN="t1")
    found = connection.resolve(None, None, None, environment)
    assert (found.service, found.token, found.host, found.port) == ("https://env:2", "t1", "env", 2)
    found = connection.resolve("https://option:3", "t2", None, environment)
    assert (found.service, found.token) == ("https://option:3", "t2")


def test_a_stored_token_is_not_sent_to_another_service(tmp_path: Path) -> None:
    connection.store(connection.make_connection("https://stored:1", "t0", "P"), tmp_path / "armillary/service.json")
    with pytest.raises(InvalidArgumentError, match="no token is known for https://other:1"):
        connection.resolve("https://other:1", None, None, _environment(tmp_path))
    found = connection.resolve("https://other:1", "t", None, _environment(tmp_path))
    assert found.ca_pem == ""


def test_the_stored_login_is_its_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "armillary/service.json"
    connection.store(connection.make_connection("https://h", "secret", ""), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert json.loads(path.read_text())["token"] == "secret"
    assert [item.name for item in path.parent.iterdir()] == ["service.json"]


def test_nothing_known_says_how_to_log_in(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        connection.resolve(None, None, None, _environment(tmp_path))
    assert caught.value.remedy.startswith("Log in: armillary login")


@pytest.mark.parametrize(
    "service",
    ["http://h:1", "h:1", "https://", "https://h:1/path", "https://h:99999", "https://h?x=1", "https://[", ""],
)
def test_other_addresses_are_refused(service: str) -> None:
    with pytest.raises(InvalidArgumentError, match="https://host"):
        connection.make_connection(service, "t", "")


@pytest.mark.parametrize("token", ["a b", "a\nb", "é"])
def test_a_token_that_would_break_a_header_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgumentError, match="token"):
        connection.make_connection("https://h", token, "")


def test_the_token_is_not_in_the_repr() -> None:
    assert "hush" not in repr(connection.make_connection("https://h", "hush", "PEM"))


def test_a_ca_file_must_hold_a_certificate(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    with pytest.raises(InvalidArgumentError, match=r"ca\.pem"):
        connection.read_ca(file)
    with pytest.raises(InvalidArgumentError, match="expected a PEM certificate"):
        connection.read_ca(tmp_path / "absent")


@pytest.mark.parametrize("text", ["not json", "[1]"])
def test_a_damaged_login_says_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "armillary" / "service.json"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(InvalidArgumentError, match=r"service\.json"):
        connection.resolve(None, None, None, _environment(tmp_path))

# SPDX-License-Identifier: Apache-2.0
"""The catalog that is remembered is meant by every command that takes one, and a terminal is told so."""

from __future__ import annotations

import sys

import pytest
from tests.api.running_service import RunningService
from tests.cli.conftest import Command


@pytest.fixture
def login(bare: Command, service: RunningService) -> Command:
    """Commands of somebody who has logged in."""
    ran = bare("login", "--service", service.address, "--token", service.token, "--ca", str(service.root))
    assert ran.code == 0, ran.err
    return bare


def test_a_context_is_used_shown_and_cleared(login: Command, service: RunningService, catalog: str) -> None:
    shown = login("context", "show")
    assert shown.out == f"service  {service.address} (login)\ncatalog  -\n"
    assert "does not exist" in login("context", "use", "--catalog", "Nobody").err

    used = login("context", "use", "--catalog", catalog.upper())
    assert (used.code, used.err) == (0, f"commands that name no catalog mean {catalog} from now on\n")
    assert login("context", "show", "--json").json == {
        "service": service.address,
        "service_from": "login",
        "catalog": catalog,
        "catalog_from": "context",
    }

    cleared = login("context", "clear")
    assert (cleared.code, cleared.err) == (0, f"catalog {catalog} is no longer meant by commands that name none\n")
    assert login("context", "clear").err == "no catalog is remembered\n"
    assert login("context", "show", "--json").json["catalog"] is None
    assert login("catalog", "list").code == 0, "the login stays"


def test_lists_and_documents_are_of_the_context(login: Command, catalog: str, device: str) -> None:
    login("context", "use", "--catalog", catalog)
    assert [each["device_id"] for each in login("device", "list", "--json").json] == [device]
    made = login("segment", "create", "--name", f"In {catalog}", "--json").json
    assert made["body"]["catalog"] == catalog


def test_an_empty_name_means_no_catalog(login: Command, catalog: str, service: RunningService) -> None:
    login("context", "use", "--catalog", catalog)
    made = service.make_device().device_id
    assert login("device", "list", "--json").json == []
    assert made in [each["device_id"] for each in login("device", "list", "--catalog", "", "--json").json]


def test_a_terminal_is_told_and_a_script_is_not(login: Command, catalog: str, monkeypatch: pytest.MonkeyPatch) -> None:
    login("context", "use", "--catalog", catalog)
    assert catalog not in login("device", "list").err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert login("device", "list").err.startswith(f"catalog {catalog} (armillary context)\n")
    assert catalog not in login("device", "list", "--catalog", "").err


def test_the_environment_goes_before_what_is_remembered(
    login: Command, catalog: str, service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    login("context", "use", "--catalog", catalog)
    monkeypatch.setenv("ARMILLARY_CATALOG", "Other")
    assert login("context", "show").out == f"service  {service.address} (login)\ncatalog  Other (ARMILLARY_CATALOG)\n"


def test_without_a_login_there_is_no_context(armillary: Command, bare: Command, catalog: str) -> None:
    ran = armillary("context", "use", "--catalog", catalog)
    assert ran.code == 1
    assert ran.err.startswith("error: no login to ")


def test_nobody_who_logged_in(bare: Command) -> None:
    ran = bare("context", "show")
    assert (ran.code, ran.out) == (0, "service  -\ncatalog  -\n")
    assert "armillary login" in ran.err

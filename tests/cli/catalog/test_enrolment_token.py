# SPDX-License-Identifier: Apache-2.0
"""``armillary enrolment-token`` and the device that it makes, as people type them."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from tests.api.running_service import RunningService
from tests.cli.conftest import Command

from armillary.cli.terminal.times import seconds_of


@pytest.fixture
def catalog(service: RunningService, catalog: str) -> str:
    service.service.registry.products.create(catalog, "Gateway", actor="test")
    service.service.registry.groups.create_defaults(catalog, "Gateway", actor="test")
    return catalog


def test_from_a_token_to_a_claimed_device(armillary: Command, catalog: str, tmp_path: Path) -> None:
    made = armillary(
        "enrolment-token", "create", "-c", catalog, "-p", "Gateway", "-dg", "Production", "--expires", "15m", "--json"
    )
    token = made.json
    assert token["expires_at"] - token["created_at"] == 900
    create = ("device", "create", "--data", str(tmp_path / "device"), "--sandbox", "process", "--json")
    done = armillary(*create, "--token", token["secret"])
    device = armillary("device", "show", "-d", done.json["device_id"], "--json").json
    assert (device["catalog"], device["group"]) == (catalog, "Production")
    second = armillary(*create[:3], str(tmp_path / "second"), *create[4:], "--token", token["secret"])
    assert second.code == 1
    assert "used 1 of 1 times" in second.err
    assert not (tmp_path / "second").exists()
    listed = armillary("enrolment-token", "list", "-c", catalog, "--json").json
    assert [(one["token_id"], one["used"]) for one in listed] == [(token["token_id"], 1)]


def test_what_a_device_that_was_not_answered_leaves_is_said(bare: Command, tmp_path: Path) -> None:
    address = "https://127.0.0.1:1"  # nobody listens there
    folder = tmp_path / "device"
    done = bare("device", "create", "--data", str(folder), "--sandbox", "process", "--service", address, "--token", "x")
    assert (done.code, f"{folder} keeps what was begun: the same command goes on" in done.err) == (1, True), done.err
    assert (folder / "creation.json").exists()


def test_a_token_for_people_and_its_end(armillary: Command, catalog: str) -> None:
    made = armillary("enrolment-token", "create", "-c", catalog, "--uses", "3", "--chip", "imx8mp")
    lines = dict(line.split(maxsplit=1) for line in made.out.splitlines())
    assert (lines["uses"], lines["chip"], lines["group"]) == ("3", "imx8mp", ".unassigned")
    assert lines["token"].startswith("arme_")
    assert "armillary device create" in made.err
    assert armillary("enrolment-token", "revoke", "-c", catalog, "--id", lines["token_id"]).code == 0
    assert lines["token"] not in armillary("enrolment-token", "list", "-c", catalog).out
    assert armillary("enrolment-token", "revoke", "-c", catalog, "--id", str(uuid.uuid4())).code == 1


@pytest.mark.parametrize("wrong", [("--expires", "soon"), ("--expires", "0s"), ("--uses", "0"), ("-p", "Gateway")])
def test_wrong_usage_is_said(armillary: Command, catalog: str, wrong: tuple[str, str]) -> None:
    assert armillary("enrolment-token", "create", "-c", catalog, *wrong).code == 2


def test_durations() -> None:
    assert [seconds_of(text) for text in ("90s", "15m", "1h", "7d")] == [90, 900, 3600, 604800]

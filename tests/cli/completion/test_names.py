# SPDX-License-Identifier: Apache-2.0
"""Names of what is in the service are offered for the beginning that is typed: from a short memory, and never late."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from tests.api.running_service import RunningService
from tests.cli.conftest import Command

from armillary.cli.completion import names
from armillary.cli.completion.names import offers, unquoted
from armillary.cli.completion.places import NAMED

DEADLINE_S = 20.0  # far below the time limits of a request


@pytest.fixture
def environment(service: RunningService, tmp_path: Path) -> dict[str, str]:
    """The variables of somebody who has logged in to the service, with an empty home."""
    return {
        "ARMILLARY_SERVICE": service.address,
        "ARMILLARY_TOKEN": service.token,
        "ARMILLARY_CA": str(service.root),
        "HOME": str(tmp_path),
    }


def names_of(kind: str, typed: str, environment: dict[str, str], *words: str) -> list[str]:
    return [name for name, _ in offers(kind, typed, words, environment)]


def test_what_is_in_the_service_is_offered_by_its_beginning(
    armillary: Command, environment: dict[str, str], service: RunningService, catalog: str, device: str
) -> None:
    armillary("product", "create", "-c", catalog, "-p", "Heat pump", "--description", "warms")
    tag = uuid.uuid4().hex[:8]
    armillary("device", "rename", "--device", device, "--name", f"Pump {tag}")
    assert names_of("catalog", catalog[:-1], environment) == [catalog]
    assert offers("product", "heat", ("--catalog", catalog), environment) == [("Heat pump", "warms")]
    assert offers("device", f"Pump {tag}", ("-c", catalog), environment) == [(f"Pump {tag}", device[:12])]
    assert offers("device", device[:6], (f"--catalog={catalog}",), environment) == [(device[:12], f"Pump {tag}")]
    assert names_of("device", f"Pump {tag}", environment, "--catalog", f"not-{catalog}") == []


def test_what_authors_write_is_offered_by_its_id(
    armillary: Command, environment: dict[str, str], catalog: str, tmp_path: Path
) -> None:
    (tmp_path / "dashboard.json").write_text('{"name": "Warm", "tiles": [], "catalog": "%s"}' % catalog)  # noqa: UP031
    given = {
        "segment": ("--name", "Warm", "--where", "tag:site=mill"),
        "dashboard": ("--file", str(tmp_path / "dashboard.json")),
        "rule": ("--name", "Warm", "--when", "t > 40", "--email", "desk@example.com"),
    }
    for kind, options in given.items():
        made = armillary(kind, "create", "--id", f"k-{catalog}", *options, "-c", catalog)
        assert made.code == 0, made.err
        assert offers(kind, f"k-{catalog[:4]}", ("-c", catalog), environment) == [(f"k-{catalog}", "Warm")]
        assert armillary(kind, "delete", f"--{kind}", f"k-{catalog}", "-c", catalog, "--yes").code == 0


def test_a_second_tab_asks_nobody_and_a_later_one_does(
    environment: dict[str, str], catalog: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = names_of("catalog", "", environment)
    assert catalog in first
    gone = {**environment, "ARMILLARY_CA": "/nowhere"}
    assert names_of("catalog", "", gone) == []
    monkeypatch.setattr(names, "_asked", lambda *_: [("another", "")])
    assert names_of("catalog", "", environment) == first
    assert names_of("catalog", "", {**environment, "ARMILLARY_TOKEN": "arm_other"}) == ["another"]
    monkeypatch.setattr(names, "KEPT_S", 0.0)
    assert names_of("catalog", "", environment) == ["another"]


def test_what_is_kept_is_its_owner_s(environment: dict[str, str], tmp_path: Path, service: RunningService) -> None:
    names_of("catalog", "", environment)
    (kept,) = (tmp_path / ".cache" / "armillary" / "names").iterdir()
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert service.token not in kept.read_text() + kept.name
    kept.write_text("damaged")
    assert names_of("catalog", "", environment) != []


def test_names_that_a_terminal_would_obey_are_left_out(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = [("a\x1b[2J", ""), ("a\nb", ""), ("", "x"), ("ab", "\x1b]0;x\x07"), ("ac", "fine")]
    monkeypatch.setattr(names, "_asked", lambda *_: hostile)
    assert offers("catalog", "a", (), environment) == [("ab", ""), ("ac", "fine")]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("Pump\\ 3", "Pump 3"), ("'Pump 3'", "Pump 3"), ('"Pump 3', "Pump 3"), ("Pu\\", "Pu"), ("", ""), ("mill", "mill")],
)
def test_words_are_meant_without_the_shell_s_marks(typed: str, meant: str) -> None:
    assert unquoted(typed) == meant


def test_every_option_of_a_name_asks_for_a_kind_that_there_is() -> None:
    assert set(NAMED.values()) == set(names.KINDS)


def asked_alone(environment: dict[str, str], *arguments: str) -> str:
    """What the program prints, which must end well and say nothing else."""
    done = subprocess.run(
        [sys.executable, "-m", "armillary", "completion-names", *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("arguments", [(), ("device",), ("device", ""), ("toaster", "x"), ("catalog", "", "--catalog")])
def test_without_a_login_it_is_silent(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert asked_alone({"HOME": str(tmp_path)}, *arguments) == ""


def test_a_service_that_never_answers_is_not_waited_for(environment: dict[str, str]) -> None:
    with socket.create_server(("localhost", 0)) as mute:
        address = f"https://localhost:{mute.getsockname()[1]}"
        assert asked_alone({**environment, "ARMILLARY_SERVICE": address}, "catalog", "") == ""

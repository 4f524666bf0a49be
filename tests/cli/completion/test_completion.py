# SPDX-License-Identifier: Apache-2.0
"""Real shells complete commands, options and their values with the scripts that the command line prints."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest
from tests.cli.conftest import exits
from tests.fixtures.processes import OwnProcess

from armillary.cli.completion.places import places
from armillary.cli.completion.scripts import SCRIPTS
from armillary.cli.main import COMMANDS, command_of

DEADLINE_S = 20.0
Completes = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file with each shell's script."""
    folder = tmp_path_factory.mktemp("completion")
    found = places({name: command_of(name) for name in COMMANDS}, {name: text for name, (_, text) in COMMANDS.items()})
    for name, make in SCRIPTS.items():
        (folder / name).write_text(make(found))
    return {name: folder / name for name in SCRIPTS}


def shell(name: str) -> str:
    """The path of a shell; skips where there is none."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name}, a shell; to enable: scripts/install-test-tools")
    return found


def ran(arguments: list[str], folder: Path) -> list[str]:
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=folder, timeout=DEADLINE_S)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture(params=["bash", "fish"])
def completes(request: pytest.FixtureRequest, scripts: dict[str, Path], tmp_path: Path) -> Completes:
    """What a shell offers after a beginning of a command line."""
    name, script = request.param, scripts[request.param]
    program = shell(name)
    (tmp_path / "key.pem").write_text("")
    if name == "fish":
        return lambda line: [
            each.split("\t")[0].strip()
            for each in ran([program, "--no-config", "-c", f"source {script}; complete -C '{line}'"], tmp_path)
        ]

    def offered(line: str) -> list[str]:
        words = line + (" ''" if line.endswith(" ") else "")
        asked = (
            f"source {script}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _armillary 2>/dev/null"
        )
        return ran([program, "--norc", "-c", asked + '; printf "%s\\n" "${COMPREPLY[@]}"'], tmp_path)

    return offered


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with what the shell asks ``armillary``; that is a program here which knows two pumps."""
    program, log = tmp_path / "bin" / "armillary", tmp_path / "asked"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s|" "$@" >> {log}\nprintf "pump-7\\tabc\\nPump 3\\tdef\\n"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return log


def test_names_of_what_is_in_the_service(completes: Completes, asked: Path) -> None:
    offered = completes("armillary device show --catalog mill --device ")
    assert sorted(each.replace("\\", "") for each in offered) == ["Pump 3", "pump-7"]
    assert asked.read_text().startswith("completion-names|device||device|show|--catalog|mill|--device|")
    assert completes("armillary product list -c pu")
    assert "completion-names|catalog|pu|product|list|" in asked.read_text()


def test_no_name_is_asked_for_where_none_is_meant(completes: Completes, asked: Path) -> None:
    completes("armillary device list --he")
    completes("armillary device create --root-of-trust ")
    completes("armillary notification-channel create --name ")
    assert not asked.exists()


def test_nouns_and_verbs(completes: Completes) -> None:
    assert sorted(completes("armillary dev")) == ["device", "device-group"]
    assert {"list", "show", "create", "boot"} <= set(completes("armillary device "))
    assert completes("armillary guardian equipment ad") == ["add"]


def test_options_and_their_values(completes: Completes) -> None:
    assert "--catalog" in completes("armillary device list --")
    assert completes("armillary device create --root-of-t") == ["--root-of-trust"]
    assert completes("armillary device create --root-of-trust tp") == ["tpm2"]
    assert sorted(completes("armillary notification-channel create --kind ")) == [
        "e-mail", "ocsf-file", "otlp", "syslog", "webhook",
    ]  # fmt: skip


def test_files_where_a_file_is_meant(completes: Completes) -> None:
    assert completes("armillary guardian recipe sign --key ke") == ["key.pem"]


def test_the_value_of_an_option_is_no_verb(completes: Completes) -> None:
    assert "--catalog" in completes("armillary device list --search list --")


def test_zsh_completes_what_is_typed(scripts: dict[str, Path], tmp_path: Path) -> None:
    typed = f"autoload -U compinit && compinit -u -d {tmp_path}/dump && source {scripts['zsh']} && print loa''ded\n"
    with Terminal([shell("zsh"), "-f", "-i"], tmp_path) as terminal:
        terminal.write(typed)
        terminal.shows("loaded")
        terminal.write("armillary device create --root-of-trust tp\t")
        terminal.shows("--root-of-trust tpm2")
        terminal.write("\x15armillary advisory-f\t")
        terminal.shows("advisory-feed ")
        terminal.write("\x15armillary device manu\t")
        terminal.shows("manufacturing-state ")


def test_zsh_completes_names(scripts: dict[str, Path], tmp_path: Path, asked: Path) -> None:
    typed = f"autoload -U compinit && compinit -u -d {tmp_path}/dump && source {scripts['zsh']} && print loa''ded\n"
    with Terminal([shell("zsh"), "-f", "-i"], tmp_path) as terminal:
        terminal.write(typed)
        terminal.shows("loaded")
        terminal.write("armillary device show --device Pu\t")
        terminal.shows(r"--device Pump\\ 3")
    assert "completion-names|device|Pu|device|show|--device|Pu|" in asked.read_text()


def test_no_other_shell(capsys: pytest.CaptureFixture[str]) -> None:
    exits(2, "completion", "tcsh")
    assert "bash" in capsys.readouterr().err


def test_every_shell_is_printed(capsys: pytest.CaptureFixture[str], scripts: dict[str, Path]) -> None:
    for name, file in scripts.items():
        exits(0, "completion", name)
        assert capsys.readouterr().out == file.read_text()


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, arguments: list[str], home: Path) -> None:
        self._seen = ""
        self._file, theirs = pty.openpty()
        environment = {**os.environ, "HOME": str(home), "TERM": "dumb"}
        self._process = OwnProcess(arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.end()
        os.close(self._file)

    def write(self, text: str) -> None:
        """Type a text."""
        self._seen = ""
        os.write(self._file, text.encode())

    def shows(self, pattern: str) -> None:
        """Wait until the terminal shows something since the last text."""
        end = time.monotonic() + DEADLINE_S
        while not re.search(pattern, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", self._seen)):
            assert time.monotonic() < end, f"not shown: {pattern}; {self._seen!r}"
            if select.select([self._file], [], [], 0.2)[0]:
                self._seen += os.read(self._file, 4096).decode(errors="replace")

# SPDX-License-Identifier: Apache-2.0
"""The command line, run in process against one running service; what it prints is compared exactly."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from tests.api.running_service import RunningService, running_service

from armillary.cli.main import run


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Command = Callable[..., Ran]


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running_service(tmp_path_factory.mktemp("cli")) as running:
        yield running


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs ``armillary ARGUMENTS`` with an empty home and no variables of ours."""
    for name in ("ARMILLARY_SERVICE", "ARMILLARY_TOKEN", "ARMILLARY_CA", "ARMILLARY_CATALOG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments: str, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        code = 0
        try:
            run(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            structlog.reset_defaults()  # a command logs to its own stderr, which ends with this call
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return call


@pytest.fixture
def armillary(bare: Command, service: RunningService, monkeypatch: pytest.MonkeyPatch) -> Command:
    """As ``bare``, with the running service in the environment."""
    monkeypatch.setenv("ARMILLARY_SERVICE", service.address)
    monkeypatch.setenv("ARMILLARY_TOKEN", service.token)
    monkeypatch.setenv("ARMILLARY_CA", str(service.root))
    return bare

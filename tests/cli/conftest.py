# SPDX-License-Identifier: Apache-2.0
"""The command line, run in process against one running service; what it prints is compared exactly."""

from __future__ import annotations

import io
import json
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.api.running_service import RunningService, own_service

from armillary.cli.main import run
from armillary.roles.log import StderrLogger


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What a command that succeeded printed with ``--json``."""
        assert self.code == 0, self.err
        return json.loads(self.out)


Command = Callable[..., Ran]


def exits(code: int, *arguments: str) -> None:
    """Runs ``armillary ARGUMENTS``, which has to end with this exit status."""
    with pytest.raises(SystemExit) as ended:
        run(arguments)
    assert ended.value.code == code


service = own_service(scope="session")


@pytest.fixture
def service_log(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Sends what the running service logs, in this process too but in threads of its own, past what commands print.

    Called before and after a command: a command may set up a log of its own, on its stderr.
    """
    beside = sys.__stderr__
    assert beside is not None

    def msg(logger: StderrLogger, line: str) -> None:
        print(line, file=sys.stderr if threading.current_thread() is threading.main_thread() else beside)

    for name in ("msg", "info", "warning", "error"):
        monkeypatch.setattr(StderrLogger, name, msg)

    def configure() -> None:
        structlog.reset_defaults()
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(beside))

    return configure


@pytest.fixture
def bare(
    service_log: Callable[[], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs ``armillary ARGUMENTS`` with an empty home and no variables of ours."""
    for name in ("ARMILLARY_SERVICE", "ARMILLARY_TOKEN", "ARMILLARY_CA", "ARMILLARY_CATALOG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments: str, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        service_log()
        capsys.readouterr()
        code = 0
        try:
            run(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            service_log()
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


@pytest.fixture
def catalog(service: RunningService) -> str:
    """A catalog of this test's own, with nothing in it."""
    name = f"c-{uuid.uuid4().hex[:10]}"
    service.service.registry.catalogs.create(name, actor="test")
    return name


@pytest.fixture
def device(service: RunningService, catalog: str) -> str:
    """The id of a device of that catalog."""
    made = service.make_device().device_id
    service.service.registry.devices.claim(catalog, [made], actor="test")
    return made

# SPDX-License-Identifier: Apache-2.0
"""Real ``armillary`` processes for end-to-end tests; everything listens on free loopback ports."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.processes import OwnProcess, killed_process

from armillary.cli.main import run

START_DEADLINE_S = 60
PORTS = {"api": "operator API", "device": "device endpoint", "hub": "hub"}


def armillary(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "armillary", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=START_DEADLINE_S,
        env={**os.environ, **(env or {})},
    )


def armillary_here(*arguments: object, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The same in this process, which costs a hundredth: for who asks often. Not for ``up``, ``demo`` and devices."""
    out, error = io.StringIO(), io.StringIO()
    before = {name: os.environ.get(name) for name in env}
    os.environ.update(env)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error), pytest.raises(SystemExit) as ended:
            run([str(each) for each in arguments])
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), out.getvalue(), error.getvalue())


def up(data: Path, *arguments: object, **ports: int) -> tuple[int, str]:
    """``armillary up`` that ends with an error: exit code and what was said."""
    chosen = [option for name in PORTS for option in (f"--{name}-port", ports.get(name, 0))]
    done = armillary("up", "--json", "--data", data, *chosen, *arguments)
    assert "Traceback" not in done.stderr
    assert done.stdout == "", "it said ready and was not"
    return done.returncode, "\n".join(line for line in done.stderr.splitlines() if not line.startswith("{"))


class Service:
    """A running ``armillary up``, and the data folder that it has."""

    def __init__(self, process: OwnProcess, ready: dict[str, Any], data: Path) -> None:
        self.process = process
        self.ready = ready
        self.data = data

    @property
    def env(self) -> dict[str, str]:
        """Variables that sign the command line in."""
        return {
            "ARMILLARY_SERVICE": self.ready["api"],
            "ARMILLARY_TOKEN": self.ready["token"],
            "ARMILLARY_CA": self.ready["root_ca"],
        }

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def running_service(data: Path, token: str | None = None, **settings: object) -> Iterator[Service]:
    """``armillary up`` in ``data`` until the block ends.

    Args:
        data: Data folder; may hold an earlier service's data.
        token: The token of an earlier first start.
        settings: Settings by name.
    """
    environment = {**os.environ, **{f"ARMILLARY_{name.upper()}": str(value) for name, value in settings.items()}}
    ports = [option for name in PORTS for option in (f"--{name}-port", "0")]
    with (
        (data.parent / "service.log").open("ab") as log,
        killed_process(
            [sys.executable, "-m", "armillary", "up", "--json", "--data", str(data), *ports],
            stdout=subprocess.PIPE,
            stderr=log,
            limit_s=None,
            env=environment,
        ) as process,
    ):
        try:
            line = process.readline()
            assert line, (data.parent / "service.log").read_text("utf-8", "replace")[-2000:]
            ready = json.loads(line)
            ready.setdefault("token", token)
            yield Service(process, ready, data)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):  # it is killed then
                process.wait(timeout=20)

# SPDX-License-Identifier: Apache-2.0
"""Azure's own client libraries, in an environment of their own: they pin libraries that ours must not have.

``sdk`` makes the environment once, in the user's cache folder, and skips where PyPI cannot be reached. ``hub`` is a
whole service at a loopback address of its own, because ``azure-iot-device`` speaks to port 8883 and no other. A script
runs there as a process whose only trust anchor is the service's root (``SSL_CERT_FILE``).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.api.running_service import RunningService, running_service, wait_until
from tests.fixtures.processes import OwnProcess

PACKAGES = ("azure-iot-device==2.14.0", "azure-iot-hub==2.7.0", "six", "azure-storage-blob==12.31.1")
SAMPLES_VARIABLE = "AZURE_IOT_SAMPLES_DIR"
MQTT_PORT = 8883
HTTPS_PORT = 443
SCRIPT_TIMEOUT_S = 90
INSTALL_TIMEOUT_S = 300


@dataclass(frozen=True)
class Sdk:
    """The interpreter that has the libraries."""

    python: Path

    def start(self, script: Path | str, hub: RunningService, folder: Path, **variables: str) -> Script:
        """Run a file, or text, in ``folder``."""
        command = [str(self.python), "-u", str(script)]
        if isinstance(script, str):
            command = [str(self.python), "-u", "-c", script]
        trust = {"SSL_CERT_FILE": str(hub.root), "REQUESTS_CA_BUNDLE": str(hub.root)}
        output = (folder / "output.txt").open("ab")
        process = OwnProcess(
            command,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONWARNINGS": "ignore", **trust, **variables},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=False,
        )
        output.close()
        return Script(process, folder / "output.txt")

    def start_sample(self, hub: RunningService, folder: Path, name: str, **variables: str) -> Script:
        """Run one of the public samples, unmodified; ``name`` is its path below the samples' folder."""
        script = sample(name)
        return self.start(script, hub, folder, PYTHONPATH=str(script.parent), **variables)


@dataclass(frozen=True)
class Script:
    """A running script."""

    process: OwnProcess
    log: Path

    @property
    def output(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def wait_for(self, text: str) -> None:
        """Wait until it has printed ``text``."""
        wait_until(lambda: text in self.output or self.process.poll() is not None, f"{text!r} in {self.output}", 30.0)
        assert text in self.output, self.output

    def says(self, line: str) -> None:
        """Type a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def finish(self, line: str | None = None) -> str:
        """Wait for its end, which must be a good one; returns what it printed."""
        try:
            if line is not None:
                self.says(line)
            assert self.process.stdin is not None
            self.process.stdin.close()
            code = self.process.wait(SCRIPT_TIMEOUT_S)
        finally:
            self.process.end()
        assert code == 0, self.output
        return self.output


def environment(packages: Sequence[str] = PACKAGES, name: str = "azure-iot") -> Path:
    """The interpreter of an environment; makes it the first time, and skips where it cannot."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "armillary-tests"
    folder = cache / f"{name}-{'-'.join(p.rpartition('==')[2] for p in packages)}-{sys.version_info[1]}"
    python = folder / "bin" / "python"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one of many test processes makes it
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            try:
                _make(folder, python, packages)
            except (subprocess.SubprocessError, OSError) as error:
                pytest.skip(f"Azure's libraries cannot be installed here: {type(error).__name__}; is PyPI reachable?")
            (folder / "complete").touch()
    return python


def _make(folder: Path, python: Path, packages: Sequence[str]) -> None:
    uv = shutil.which("uv")
    if uv is not None:
        commands = [
            [uv, "venv", "--python", sys.executable, folder],
            [uv, "pip", "install", "--python", python, *packages],
        ]
    else:
        commands = [[sys.executable, "-m", "venv", folder], [python, "-m", "pip", "install", "--quiet", *packages]]
    for command in commands:
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_TIMEOUT_S)


def sample(name: str) -> Path:
    """A public sample, in a checkout that is never copied here."""
    folder = os.environ.get(SAMPLES_VARIABLE)
    if not folder:
        pytest.skip(
            f"set {SAMPLES_VARIABLE} to the samples folder of a checkout of github.com/Azure/azure-iot-sdk-python"
        )
    script = Path(folder, name)
    assert script.is_file(), script
    return script


def free_host(*ports: int) -> str:
    """A loopback address on which all these ports are free."""
    for last in range(1, 200):
        host = f"127.83.{os.getpid() % 250 + 1}.{last}"
        taken = []
        try:
            for port in ports:
                listening = socket.socket()
                taken.append(listening)
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listening.bind((host, port))
        except PermissionError as error:
            pytest.skip(
                f"this user may not listen on port {ports}: {error}; to enable: "
                "sudo sysctl net.ipv4.ip_unprivileged_port_start=443"
            )
        except OSError:
            continue
        finally:
            for each in taken:
                each.close()
        return host
    pytest.skip("no loopback address has these ports free")


@pytest.fixture(scope="session")
def sdk() -> Sdk:
    return Sdk(environment())


@contextlib.contextmanager
def azure_hub(folder: Path, *more_ports: int, **settings: Any) -> Iterator[RunningService]:
    """A service at a loopback address of its own, whose catalog Contoso admits hub devices of both kinds."""
    host = free_host(MQTT_PORT, *more_ports)
    with running_service(folder, host=host, public_host=host, hub_port=MQTT_PORT, **settings) as running:
        running.make_catalog("Contoso", certificates=True, symmetric_keys=True)
        yield running


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with azure_hub(tmp_path_factory.mktemp("azure")) as running:
        yield running


@pytest.fixture(scope="module")
def https_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A hub whose second port is 443: the client asks there, and nowhere else, for a place for a file."""
    with azure_hub(tmp_path_factory.mktemp("azure-443"), HTTPS_PORT, websocket_port=str(HTTPS_PORT)) as running:
        yield running


def sas_connection(hub: RunningService, name: str) -> Mapping[str, str]:
    """A hub device with symmetric keys; what the route shows once."""
    made = hub.call("POST", "/api/v1/catalogs/Contoso/hub-devices", {"device_id": name, "authentication": "sas"})
    assert made.status == 200, made.body
    found: Mapping[str, str] = made.body
    return found

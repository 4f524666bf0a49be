# SPDX-License-Identifier: Apache-2.0
"""A service of its own for the trial of a device image: ``armillary up`` in a folder, started again where it was."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from armillary.boot import profile
from armillary.cli.story.service_process import Ports, end, start_service
from armillary.cli.terminal.connection import CA_VARIABLE, SERVICE_VARIABLE, TOKEN_VARIABLE
from armillary.content import chip_document
from armillary.device_image.architecture.table import architecture_of
from armillary.device_image.packages import write_packages
from armillary.device_image.power.later import FIRST_SECURITY_VERSION, make_later, security_version_of
from armillary.device_image.reference.document import FILE as REFERENCE_VALUES
from armillary.device_image.virtual_machine import HOST_ADDRESS, TPM
from armillary.errors import HostError, InvalidArgumentError

CATALOG: Final = "Trial"
FIRST_VERSION: Final = "26.12"
# A device has something to do within so many seconds.
CHECK_IN_INTERVAL_S: Final = 5
# No command takes longer, on a host that does much else.
_COMMAND_WITHIN_S: Final = 300.0
_STATE: Final = "trial.json"


class TrialService:
    """The service; ``folder`` has all of it, and its token, so that only its owner reads it."""

    def __init__(self, folder: Path, image: Path, *, keys: Path | None = None) -> None:
        """``keys`` is the folder of those that signed the image; None for that beside it.

        Raises:
            InvalidArgumentError: ``folder`` has the data of a service that no trial made.
        """
        self._folder = folder
        self._image = image
        self._keys = keys
        self._process: subprocess.Popen[str] | None = None
        self._state: dict[str, Any] = {"releases": 0}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (folder / _STATE).exists():
            self._state = json.loads((folder / _STATE).read_bytes())
        elif self._data.exists():
            raise InvalidArgumentError(
                f"{self._data}: expected the data of a trial, with {folder / _STATE}, got another service's",
                remedy="Name another folder: --folder DIR.",
            )
        if "enrolment" not in self._state and self._data.exists():  # was ended while it was set up: begin again
            shutil.rmtree(self._data)
            self._state = {"releases": 0}

    def start(self) -> None:
        """Start it and wait until it is ready; HostError if it does not start."""
        settings = {
            "ARMILLARY_PUBLIC_HOST": HOST_ADDRESS,
            "ARMILLARY_CHECK_IN_INTERVAL_S": str(CHECK_IN_INTERVAL_S),
            "ARMILLARY_PLANNER_INTERVAL_S": "1",
        }
        ports = Ports(**self._state.get("ports", {}))
        log = self._folder / "service.log"
        self._keep()  # first: what is made from here on is a trial's
        self._process, ready, ports = start_service(self._data, log, ports=ports, settings=settings)
        self._keep(ports=ports._asdict(), ca=ready["root_ca"])
        if "token" in ready:  # it is said the first time only
            self._keep(token=ready["token"])

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            end(self._process)
            self._process = None

    def prepare(self, machine: Path, told: Path) -> None:
        """Make the image's release and what tells a machine to enrol here; its TPM is taken for hardware."""
        if "enrolment" not in self._state:
            self.ask("catalog", "create", "--name", CATALOG)
            self._publish(self._image, FIRST_VERSION)
            made = self.ask("enrolment-token", "create", "--catalog", CATALOG)
            self._keep(enrolment=made["secret"])
        roots = self._data / "tpm-roots"
        roots.mkdir(exist_ok=True)
        shutil.copy(machine / TPM / "authority/issuercert.pem", roots / "machine.pem")
        enrolment = {
            "service": f"https://{HOST_ADDRESS}:{self._state['ports']['api']}",
            "ca": Path(self._state["ca"]).read_text("ascii"),
            "token": self._state["enrolment"],
        }
        descriptor = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - the descriptor carries the mode
            json.dump(enrolment, file)

    def publish_next(self, *, security_version: int | None = None) -> None:
        """Publish a later OS: both its packages are others than those of all before.

        Its security version is that of its number (``power/later.py``) where none is given.
        """
        number = self._state["releases"] + 1
        self._keep(releases=number)  # first: a name is never given twice
        later = make_later(self._image, self._folder / "later", number=number, keys=self._keys)
        self._publish(later, f"27.{number}", security_version or security_version_of(number))

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def demand_reference_values(self) -> None:
        """Have the catalog attest only what the build of the image states of its start, and of this firmware.

        Where nobody has seen this host's firmware, it is taken as the machine measured it, which has to be attested.
        """
        values = self._image / REFERENCE_VALUES
        self.ask("attestation-policy", "firmware", "add", str(values), "--catalog", CATALOG, "--yes")
        if "0" not in json.loads(values.read_bytes())["origins"]:
            (device,) = self.ask("device", "list")
            words = ("--device", device["device_id"], "--catalog", CATALOG, "--yes")
            self.ask("attestation-policy", "firmware", "take", *words)

    def _publish(self, built: Path, version: str, security_version: int = FIRST_SECURITY_VERSION) -> None:
        chip = profile.parse(chip_document(architecture_of(self._image).chip))
        packages = write_packages(built, chip, security_version=security_version, into=self._folder)
        given = [f"--component={name}={file}" for name, file in packages.items()]
        self.ask("release", "create", "--chip", chip.name, "--os-version", version, "--os-feed", "Retail", *given)
        for verb in ("sign", "publish"):
            self.ask("release", verb, "--release", f"{chip.name}/{version}")

    def ask(self, *arguments: str) -> Any:
        """Run a command of ``armillary`` at this service; what it prints as JSON. HostError if it fails."""
        done = subprocess.run(  # noqa: S603 - this interpreter, this package
            [sys.executable, "-m", "armillary", *arguments, "--json"],
            env={
                **os.environ,
                SERVICE_VARIABLE: f"https://127.0.0.1:{self._state['ports']['api']}",
                TOKEN_VARIABLE: self._state["token"],
                CA_VARIABLE: self._state["ca"],
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=_COMMAND_WITHIN_S,
        )
        if done.returncode:
            raise HostError(f"armillary {' '.join(arguments)}: {done.stderr.strip()}", remedy="See the cause.")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def _keep(self, **values: object) -> None:
        self._state |= values
        fresh = self._folder / f"{_STATE}.new"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - the descriptor carries the mode
            json.dump(self._state, file)
        fresh.replace(self._folder / _STATE)

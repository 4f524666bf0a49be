# SPDX-License-Identifier: Apache-2.0
"""A machine and the service that it shall belong to, on this host; each test says what happens between them."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.armillary_processes import armillary_here, running_service

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.virtual_machine import HOST_ADDRESS, TPM, MachineSettings, prepare

CATALOG = "Contoso"


def done(ended: subprocess.CompletedProcess[str]) -> str:
    """What a command printed, which has to end well."""
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@dataclass(frozen=True)
class AtService:
    """A machine that is off, and a service with a catalog that trusts its TPM's maker; ``env`` is for commands here."""

    settings: MachineSettings
    env: dict[str, str]
    port: int

    def publish(self, image: Path, architecture: Architecture, version: str = "26.12") -> None:
        """Make a release of what is in the slots of the image."""
        asked = ("--arch", architecture.name, "--image", str(image), "--json")
        packages = json.loads(done(armillary_here("image", "package", *asked, env=self.env)))
        components = [f"--component={name}={file}" for name, file in packages["components"].items()]
        about = ("--chip", packages["chip"], "--os-version", version, "--os-feed", "Retail", *components, "--json")
        made = json.loads(done(armillary_here("release", "create", *about, env=self.env)))
        for verb in ("sign", "publish"):
            done(armillary_here("release", verb, "--release", made["release_id"], env=self.env))

    def tell(self, *group: str) -> None:
        """Have the machine told at its first start whose device it becomes, of which device group."""
        made = armillary_here("enrolment-token", "create", "--catalog", CATALOG, *group, "--json", env=self.env)
        enrolment = {
            "service": f"https://{HOST_ADDRESS}:{self.port}",
            "ca": Path(self.env["ARMILLARY_CA"]).read_text("ascii"),
            "token": json.loads(done(made))["secret"],
        }
        assert self.settings.enrolment is not None
        self.settings.enrolment.write_text(json.dumps(enrolment))

    def deploy(self, name: str, *folders: Path) -> tuple[str, ...]:
        """Deploy what is in these folders to a product and a device group of this name; the words that name the group."""
        group = ("--product", name, "--device-group", name)
        done(armillary_here("product", "create", "--name", name, env=self.env))
        done(armillary_here("device-group", "create", "--product", name, "--name", name, env=self.env))
        images = []
        for folder in folders:
            package = str(folder.with_suffix(".imagepackage"))
            asked = ("--package-directory", str(folder), "--output-file", package)
            done(armillary_here("image-package", "pack-application", *asked, env=self.env))
            done(armillary_here("image", "add", "--image-path", package, env=self.env))
            shown = done(armillary_here("image-package", "show", "--image-package", package, "--json", env=self.env))
            images.append(json.loads(shown)["image_id"])
        done(armillary_here("deployment", "create", *group, "--images", ",".join(images), env=self.env))
        return group


@contextlib.contextmanager
def machine_at_service(
    image: Path, architecture: Architecture, folder: Path, *, attached: tuple[str, ...] = ()
) -> Iterator[AtService]:
    """Both, below ``folder``."""
    settings = MachineSettings(
        folder=folder / "machine",
        image=image,
        machine=architecture.name,
        enrolment=folder / "enrolment.json",
        attached=attached,
    )
    prepare(settings)
    with running_service(folder / "data", public_host=HOST_ADDRESS) as service:
        port = urlsplit(service.env["ARMILLARY_SERVICE"]).port or 443
        found = AtService(settings, {**service.env, "ARMILLARY_SERVICE": f"https://127.0.0.1:{port}"}, port)
        done(armillary_here("catalog", "create", "--name", CATALOG, env=found.env))
        roots = folder / "data" / "tpm-roots"
        roots.mkdir(exist_ok=True)
        shutil.copy(settings.folder / TPM / "authority/issuercert.pem", roots / "swtpm.pem")
        yield found

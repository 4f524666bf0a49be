# SPDX-License-Identifier: Apache-2.0
"""The crun of this host: where it is, how old it is, and what else a container needs to begin."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from armillary.errors import SandboxUnavailableError

SEARCH_PATH = "/usr/bin:/usr/local/bin:/usr/sbin:/bin"
# Recursive read-only mounts (``rro``) came with 1.8.1 at the latest; Debian 12 has that.
MINIMUM = (1, 8, 1)
ANSWER_TIMEOUT_S = 10.0
INSTALL = "Install crun (Debian, Ubuntu, Fedora: package crun), or use --sandbox linux."


@dataclass(frozen=True, slots=True)
class Runtime:
    """What of the host starts a container, and its first programs inside."""

    crun: str
    setpriv: str
    shell: str


def find() -> Runtime:
    """The host's, by what it says of itself.

    Raises:
        SandboxUnavailableError: it is missing, too old or built without seccomp.
    """
    crun = shutil.which("crun", path=SEARCH_PATH)
    if crun is None:
        raise SandboxUnavailableError(f"sandbox crun: no crun in {SEARCH_PATH}", remedy=INSTALL)
    said = _version(crun)
    found = re.search(r"crun version (\d+)\.(\d+)(?:\.(\d+))?", said)
    version = tuple(int(part or 0) for part in found.groups()) if found else ()
    wanted = ".".join(map(str, MINIMUM))
    if version < MINIMUM:
        got = ".".join(map(str, version)) or repr(said.partition("\n")[0])
        raise SandboxUnavailableError(f"sandbox crun: expected crun {wanted} or newer, got {got}", remedy=INSTALL)
    if "+SECCOMP" not in said:
        raise SandboxUnavailableError(f"sandbox crun: {crun} was built without seccomp", remedy=INSTALL)
    return Runtime(crun, _inside("setpriv", "util-linux"), _inside("sh", "dash"))


def _version(crun: str) -> str:
    try:
        run = subprocess.run(  # noqa: S603 - a program of the host, from where only root puts one
            [crun, "--version"], capture_output=True, text=True, errors="replace", timeout=ANSWER_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxUnavailableError(
            f"sandbox crun: {crun} does not say its version: {error}", remedy=INSTALL
        ) from error
    return run.stdout


def _inside(name: str, package: str) -> str:
    """A program of the host that is there inside as well: below /usr."""
    found = shutil.which(name, path=SEARCH_PATH)
    path = "" if found is None else str(Path(found).resolve())
    if not path.startswith("/usr/"):
        raise SandboxUnavailableError(
            f"sandbox crun: expected {name} below /usr, got {path or 'none'}",
            remedy=f"Install {package} on a system whose /bin is /usr/bin, or use --sandbox linux.",
        )
    return path

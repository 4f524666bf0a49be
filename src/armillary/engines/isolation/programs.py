# SPDX-License-Identifier: Apache-2.0
"""Programs of the host that isolation uses: where they are, and running them."""

from __future__ import annotations

import os
import shutil
import subprocess

from armillary.errors import HostError

# Where Debian has them: not on the search path of everybody.
SEARCH_PATH = f"{os.environ.get('PATH', '/usr/bin')}:/usr/sbin:/sbin"
# Setting and reading rules takes milliseconds; a busy host some seconds.
LIMIT_S = 20.0
PACKAGES = {"nft": "nftables", "dnsmasq": "dnsmasq-base", "ip": "iproute2"}


def program(name: str) -> str:
    """Path of a program; HostError with the package that has it where there is none."""
    found = shutil.which(name, path=SEARCH_PATH)
    if found is None:
        raise HostError(f"{name}: not found", remedy=f"Install it: sudo apt-get install {PACKAGES[name]}.")
    return found


def run(name: str, *arguments: str, text: str = "") -> str:
    """Run a program with this input and return its output.

    Raises:
        HostError: it is missing, fails or takes too long; the message has what it said.
    """
    try:
        done = subprocess.run(  # noqa: S603 - three programs of the host, arguments of ours
            [program(name), *arguments], input=text, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(f"{name}: {error}", remedy="Look at the host's log.") from error
    if done.returncode != 0:
        said = " ".join(done.stderr.split())
        raise HostError(
            f"{name} {' '.join(arguments)}: {said:.400}",
            remedy="Isolation needs root (CAP_NET_ADMIN) and a kernel with nftables.",
        )
    return done.stdout

# SPDX-License-Identifier: Apache-2.0
"""Options of apt-get for packages of another architecture than this host's.

They have package lists of their own in the cache: what this host's own package manager knows stays as it is, nothing
is added to its architectures.
"""

from __future__ import annotations

from pathlib import Path

from armillary.device_image.tools import run


def apt_options(architecture: str, store: Path, *, fresh: bool = False) -> list[str]:
    """What apt-get is told to see packages of an architecture; empty for this host's own.

    Lists are fetched when there are none yet, or when ``fresh`` ones are wanted.
    """
    host = run(["dpkg", "--print-architecture"]).decode("ascii").strip()
    if architecture == host:
        return []
    lists = (store / f"lists-{architecture}").absolute()
    options = [f"Dir::State::lists={lists}", "Dir::Cache::pkgcache=", "Dir::Cache::srcpkgcache="]
    # As if this host were one: packages for all architectures are those of the host's own.
    options += [f"APT::Architecture={architecture}", f"APT::Architectures::={architecture}"]
    words = [word for option in options for word in ("-o", option)]
    if fresh or not any(lists.glob(f"*_binary-{architecture}_Packages*")):
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", *words, "update"])
    return words

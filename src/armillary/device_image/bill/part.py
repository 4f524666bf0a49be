# SPDX-License-Identifier: Apache-2.0
"""A part of an image that others made, by its package URL in Debian.

Advisories for Debian are for a release and name source packages: ``distro`` and ``upstream`` of a package URL say both
(``armillary.advisory.ecosystem``). Without them the C library ``libc6`` has no advisory at all: they are of ``glibc``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from armillary.device_image import debian
from armillary.device_image.recipe import Pin
from armillary.device_image.tools import run
from armillary.errors import HostError

# The release whose packages images are made of: the recipe names its Python.
DISTRIBUTION: Final = "debian-13"
_SOURCE: Final = "source"
_C_LIBRARY: Final = "glibc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part: its package URL, SHA-256 of the file that it comes from, and what is to be said of it beyond that."""

    name: str
    version: str
    url: str
    sha256: str = ""
    notes: str = ""


def source_part(name: str, version: str, *, sha256: str = "", notes: str = "") -> Part:
    """A source package whose code is in the image, but not as a binary package of it."""
    return Part(name=name, version=version, url=_url(name, version, _SOURCE, name, version), sha256=sha256, notes=notes)


def package_parts(pins: Iterable[Pin], files: Mapping[str, Path]) -> list[Part]:
    """Packages by their files, and the sources whose code is in them besides their own (``Built-Using``).

    So a kernel that Debian has signed is one of ``linux-signed-amd64``, and has the code of ``linux``.

    Raises:
        HostError: a file is no package.
    """
    found = []
    for pin in pins:
        origin = debian.origin_of(files[pin.name])
        url = _url(pin.name, pin.version, origin.architecture, origin.source, origin.source_version)
        found.append(Part(name=pin.name, version=pin.version, url=url, sha256=pin.sha256))
        found += [source_part(name, version, notes=f"in {pin.name}") for name, version in origin.built_using]
    return found


def c_library_part(compiler: str) -> Part:
    """The C library of this host that a compiler links into static programs.

    Raises:
        HostError: no package of this host has it, or none that says which version it is of.
    """
    file = Path(run([compiler, "-print-file-name=libc.a"]).decode("utf-8").strip()).resolve()
    package = run(["dpkg-query", "--search", file]).decode("utf-8").partition(": ")[0]
    origin = debian.read_origin(run(["dpkg-query", "--show", f"--showformat={debian.ORIGIN}", package]).decode("utf-8"))
    sources = {**dict(origin.built_using), origin.source: origin.source_version}
    if _C_LIBRARY not in sources:
        raise HostError(
            f"{package}: expected that it is built of {_C_LIBRARY}, got {', '.join(sources)}",
            remedy="Use the compiler of Debian 13: scripts/install-image-tools.",
        )
    return source_part(_C_LIBRARY, sources[_C_LIBRARY], notes=f"in the first program, of {package}")


def _url(name: str, version: str, architecture: str, source: str, source_version: str) -> str:
    upstream = source if source_version == version else f"{source}@{source_version}"
    more = f"&upstream={quote(upstream, safe='')}" if upstream != name else ""
    package = f"{quote(name, safe='')}@{quote(version, safe='')}"
    return f"pkg:deb/debian/{package}?arch={architecture}&distro={DISTRIBUTION}{more}"

# SPDX-License-Identifier: Apache-2.0
"""Files of Debian packages, without installing one: fetched by their pins, verified, read as archives.

No script of a package runs. ``apt-get download`` brings what the host's sources have; a file whose SHA-256 is not the
pinned one is refused, so the source is not trusted with anything.
"""

from __future__ import annotations

import fnmatch
import hashlib
import io
import posixpath
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from armillary.device_image.architecture.package_lists import apt_options
from armillary.device_image.recipe import Pin
from armillary.device_image.tools import run
from armillary.errors import HostError, InvalidArgumentError


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A regular file (bytes) or a link (text) of a package; ``path`` without a slash in front, below ``usr``."""

    path: str
    content: bytes | str = field(repr=False)
    mode: int


def fetch(pins: Iterable[Pin], store: Path, *, architecture: str) -> dict[str, Path]:
    """Bring packages into ``store``, where they are kept by their digest; name -> file.

    Raises:
        HostError: a version is not offered any more, or a file is not the pinned one.
    """
    store.mkdir(parents=True, exist_ok=True)
    wanted = {pin.name: pin for pin in pins}
    lacking = [pin for pin in wanted.values() if not (store / f"{pin.sha256}.deb").exists()]
    if lacking:
        incoming = store / "incoming"
        incoming.mkdir(exist_ok=True)
        names = [f"{pin.name}:{architecture}={pin.version}" for pin in lacking]
        try:
            _download(names, incoming, apt_options(architecture, store))
        except HostError as error:
            raise HostError(
                error.message,
                remedy="Bring the lists up to date (sudo apt-get update); a version that is gone: armillary image pin.",
            ) from error
        for file in incoming.glob("*.deb"):
            file.rename(store / f"{_digest(file)}.deb")
    for pin in wanted.values():
        if not (store / f"{pin.sha256}.deb").exists():
            raise HostError(
                f"{pin.name} {pin.version}: the package that was fetched is not the pinned one ({pin.sha256[:16]})",
                remedy="Whoever served it changed it, or the pin is wrong: compare with another mirror.",
            )
    return {name: store / f"{pin.sha256}.deb" for name, pin in wanted.items()}


def newest(names: Iterable[str], store: Path, *, architecture: str) -> list[Pin]:
    """Pins of the versions that the host's sources offer now; the packages are kept in ``store``."""
    incoming = store / "pinning"
    shutil.rmtree(incoming, ignore_errors=True)  # of a run that was cut short: perhaps for another architecture
    incoming.mkdir(parents=True)
    wanted = [f"{name}:{architecture}" for name in names]
    _download(wanted, incoming, apt_options(architecture, store, fresh=True))
    pins = []
    for file in sorted(incoming.glob("*.deb")):
        name, version = run(["dpkg-deb", "--show", "--showformat=${Package} ${Version}", file]).decode().split()
        digest = _digest(file)
        file.rename(store / f"{digest}.deb")
        pins.append(Pin(name, version, digest))
    return pins


def files_of(package: Path) -> Iterator[PackedFile]:
    """Files and links of a package, those of ``/lib`` and ``/bin`` as they are found below ``/usr``."""
    archive = run(["dpkg-deb", "--fsys-tarfile", package])
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        for member in members:
            path = posixpath.normpath(member.name).lstrip("/")
            if path.startswith(("lib/", "bin/", "sbin/", "lib64/")):
                path = f"usr/{path}"
            if member.issym():
                yield PackedFile(path, member.linkname, 0o777)
            elif member.isreg():
                file = members.extractfile(member)
                yield PackedFile(path, b"" if file is None else file.read(), member.mode & 0o755)
            elif member.islnk():
                target = members.extractfile(member)
                yield PackedFile(path, b"" if target is None else target.read(), member.mode & 0o755)


def chosen(
    files: Iterable[PackedFile], patterns: tuple[str, ...], without: tuple[str, ...], *, package: str
) -> list[PackedFile]:
    """Files that a pattern names; InvalidArgumentError for a pattern that names none."""
    found, used = [], set[str]()
    for file in files:
        matching = [pattern for pattern in patterns if fnmatch.fnmatchcase(file.path, pattern)]
        used.update(matching)
        if matching and not any(fnmatch.fnmatchcase(file.path, pattern) for pattern in without):
            found.append(file)
    unused = [pattern for pattern in patterns if pattern not in used]
    if unused:
        raise InvalidArgumentError(
            f"image.toml: package {package}: no file matches {', '.join(unused)}",
            remedy="Look what it has: dpkg-deb --contents FILE.",
        )
    return found


def _download(names: list[str], folder: Path, options: list[str]) -> None:
    run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", *options, "download", *names], folder=folder)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()

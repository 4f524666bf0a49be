# SPDX-License-Identifier: Apache-2.0
"""Debian packages are read as archives, without installing one: no script of a package runs.

Where they come from: ``package_sources``.
"""

from __future__ import annotations

import fnmatch
import io
import posixpath
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from armillary.device_image.tools import run
from armillary.errors import InvalidArgumentError

# What dpkg's programs are asked of a package, a line each; the last ones are of the form "NAME (= VERSION), ...".
ORIGIN: Final = r"${Architecture}\n${source:Package}\n${source:Version}\n${Built-Using}, ${Static-Built-Using}\n"
_BUILT_USING: Final = re.compile(r"([a-z0-9][a-z0-9.+-]+) \(= (\S+)\)")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a package comes from: its source package, and sources whose code is in it besides, name and version."""

    architecture: str
    source: str
    source_version: str
    built_using: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A regular file (bytes) or a link (text) of a package; ``path`` without a slash in front, below ``usr``."""

    path: str
    content: bytes | str = field(repr=False)
    mode: int


def origin_of(package: Path) -> Origin:
    """Where the package of a file comes from; HostError if it is none."""
    return read_origin(run(["dpkg-deb", "--show", f"--showformat={ORIGIN}", package]).decode("utf-8"))


def read_origin(said: str) -> Origin:
    """What dpkg's programs say by :data:`ORIGIN`."""
    architecture, source, version, built_using = said.splitlines()
    return Origin(architecture, source, version, tuple(_BUILT_USING.findall(built_using)))


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


def content_of(package: Path, path: str) -> bytes:
    """A regular file of a package; InvalidArgumentError if it has none of this path."""
    found = [each.content for each in files_of(package) if each.path == path and isinstance(each.content, bytes)]
    if len(found) != 1:
        raise InvalidArgumentError(
            f"{package}: expected a package with {path}, found no such file", remedy="Pin another: armillary image pin."
        )
    return found[0]


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

# SPDX-License-Identifier: Apache-2.0
"""Debian packages are read as archives, without installing one: no script of a package runs.

Where they come from: ``package_sources``.
"""

from __future__ import annotations

import fnmatch
import io
import posixpath
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from armillary.device_image.tools import run
from armillary.errors import InvalidArgumentError


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A regular file (bytes) or a link (text) of a package; ``path`` without a slash in front, below ``usr``."""

    path: str
    content: bytes | str = field(repr=False)
    mode: int


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

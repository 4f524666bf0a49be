# SPDX-License-Identifier: Apache-2.0
"""Builds a kernel from the fragments, or finds it in the cache: the same bytes of the same input.

The input is the version of the source, what is changed of it, what the fragments want, the versions of compiler and
linker, and this file's ``RECIPE``. Whatever else could get into a kernel is kept out: time, user, host, folder, chance.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from armillary.device_image.kept.alone import alone_in
from armillary.device_image.kept.made_folder import is_as_made, is_noted, put
from armillary.device_image.own_kernel import fragments
from armillary.device_image.own_kernel.fragments import Option
from armillary.device_image.own_kernel.progress import Progress, Report
from armillary.device_image.own_kernel.source import BUILT_FILE, Source, changes, unpack
from armillary.device_image.own_kernel.toolchain import (
    TARGETS,
    Target,
    begin,
    compiler_version,
    failure,
    processors,
    require,
    run,
    source_version,
)
from armillary.errors import InvalidArgumentError

# Raised when the way of building changes, so that no older kernel is taken from a cache.
RECIPE: Final = 1
_LAST_LINES: Final = 40


@dataclass(frozen=True, slots=True)
class KernelBuild:
    """A kernel in the output folder: its file, configuration, device trees, version (``uname -r``) and SHA-256.

    ``source`` is the version of the source's Debian package. ``others_sha256`` is what was built elsewhere of the same
    input; None where nobody has said.
    """

    path: Path
    config: Path
    trees: tuple[Path, ...]
    version: str
    sha256: str
    source: str
    others_sha256: str | None

    def compared(self) -> str:
        """What became of the comparison with what was built elsewhere."""
        if self.others_sha256 is None:
            return f"{BUILT_FILE} has no kernel of this compiler and these options to compare it with"
        if self.others_sha256 == self.sha256:
            return f"the same bytes as in the build of {BUILT_FILE}"
        return f"NOT THE SAME BYTES as in the build of {BUILT_FILE}, which gave {self.others_sha256}"


def build_kernel(architecture: str, output: Path, progress: Report, *, cache: Path) -> KernelBuild:
    """Build the kernel of an architecture into a folder; what was built of the same input before is copied.

    Another build with this cache is waited for, which ``progress`` says.

    Raises:
        HostError: a package or room on the disk is missing, or the compile failed.
        InvalidArgumentError: a fragment is wrong, or the source does not take an option as it is wanted.
    """
    wanted = fragments.read_fragments(fragments.kernel_folder(), architecture)
    target = TARGETS[architecture]
    require(target, cache)
    version = source_version()
    key = _key(version, wanted, compiler_version(target))
    kept = cache / f"built-{architecture}-{key[:16]}"
    with alone_in(cache, progress):
        if not is_noted(kept):
            source = unpack(cache, version)
            work = cache / f"compile-{architecture}"
            configure(source, target, wanted, work)
            _compile(source, target, work, Progress(architecture, cache / f"steps-{architecture}", progress))
            _keep(source, target, work, kept)
        return _copied(kept, output, version, _built_elsewhere(architecture, key))


def configure(source: Source, target: Target, wanted: Sequence[Option], work: Path) -> str:
    """The finished configuration: the smallest one, then what is wanted, then what that needs; nothing may be lost."""
    work.mkdir(parents=True, exist_ok=True)
    configuration = work / ".config"
    run([*_make(source, target, work), "tinyconfig"])
    with configuration.open("a", encoding="utf-8") as file:
        file.write(fragments.configured(wanted))
    run([*_make(source, target, work), "olddefconfig"])
    finished = configuration.read_text("utf-8")
    fragments.refuse_lost(wanted, finished)
    return finished


def _compile(source: Source, target: Target, work: Path, progress: Progress) -> None:
    last: list[str] = []
    command = [*_make(source, target, work), f"--jobs={processors()}", target.made, *target.trees]
    with begin(command) as running:
        for line in running.stdout or ():
            progress.line(line.rstrip("\n"))
            last = [*last[1 - _LAST_LINES :], line]
    if running.returncode:
        raise failure("make", running.returncode, "".join(last))
    progress.done()


def _make(source: Source, target: Target, work: Path) -> list[str | Path]:
    return ["make", "--directory", source.folder, f"O={work.resolve()}", *target.variables(), *source.fixed()]


def _key(version: str, wanted: Sequence[Option], compiler: str) -> str:
    text = "\n".join((str(RECIPE), version, changes(), fragments.digest(wanted), compiler))
    return hashlib.sha256(text.encode()).hexdigest()


def _built_elsewhere(architecture: str, key: str) -> str | None:
    """SHA-256 of the kernel that was built of this input before, by the list in the fragments' folder."""
    known = tomllib.loads((fragments.kernel_folder() / BUILT_FILE).read_text("utf-8")).get(architecture, {})
    return str(known["sha256"]) if known.get("input") == key else None


def _keep(source: Source, target: Target, work: Path, kept: Path) -> None:
    """Move what was built into the cache, with a note of what it is."""
    fresh = kept.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    image = fresh / target.made
    shutil.copyfile(work / target.path, image)
    shutil.copyfile(work / ".config", fresh / "config")
    trees = [f"arch/{target.architecture}/boot/dts/{tree}" for tree in target.trees]
    for tree in trees:
        shutil.copyfile(work / tree, fresh / Path(tree).name)
    release = run([*_make(source, target, work), "--silent", "--no-print-directory", "kernelrelease"]).strip()
    about = {
        "file": target.made,
        "version": release,
        "sha256": hashlib.sha256(image.read_bytes()).hexdigest(),
        "trees": [Path(tree).name for tree in trees],
    }
    (fresh / "built.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    put(fresh, kept)


def _copied(kept: Path, output: Path, source: str, others_sha256: str | None) -> KernelBuild:
    """Copy all files of a kernel from the cache; InvalidArgumentError if one of them is not what was built."""
    if not is_as_made(kept):
        raise InvalidArgumentError(
            f"kernel: what is in {kept} is not what was built", remedy=f"Remove {kept} and build again."
        )
    about = json.loads((kept / "built.json").read_text("utf-8"))
    output.mkdir(parents=True, exist_ok=True)
    for name in (about["file"], "config", *about["trees"]):
        fresh = output / f"{name}.new"
        shutil.copyfile(kept / name, fresh)
        fresh.replace(output / name)  # who reads it meanwhile has a whole one
    return KernelBuild(
        path=output / about["file"],
        config=output / "config",
        trees=tuple(output / name for name in about["trees"]),
        version=about["version"],
        sha256=about["sha256"],
        source=source,
        others_sha256=others_sha256,
    )

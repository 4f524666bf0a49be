# SPDX-License-Identifier: Apache-2.0
"""Python packages of the device: wheels as the project's lock names them, by version and digest."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.device_image.kept.alone import work_folder
from armillary.device_image.kept.made_folder import made_folder
from armillary.device_image.tools import PATH, run
from armillary.errors import HostError, InvalidArgumentError

# Begins what CPython calls a platform (sysconfig.get_platform), and no word of uv's.
_INTERPRETER: Final = "linux-"
# What uv says where an index or a file is not reached, and not of another digest or of a version that is not there.
_NOT_REACHED: Final = ("Failed to fetch", "error sending request", "response body")
_NAME: Final = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;\\]+)")


def locked(project: Path, names: Iterable[str]) -> dict[str, str]:
    """Requirements with all their digests, by name, as the lock has them.

    Raises:
        InvalidArgumentError: the lock has no such package.
    """
    text = run(
        [
            _uv(project),
            "export",
            "--quiet",
            "--frozen",
            "--no-dev",
            "--no-emit-project",
            "--no-header",
            "--no-annotate",
        ],
        folder=project,
        environment=_environment(),
    ).decode("utf-8")
    found: dict[str, str] = {}
    for block in re.split(r"\n(?=\S)", text):
        match = _NAME.match(block)
        if match is not None:
            found[match[1].lower()] = block.strip()
    lacking = [name for name in names if name not in found]
    if lacking:
        raise InvalidArgumentError(
            f"image.toml: the lock has no {', '.join(lacking)}", remedy="Mend [python] distributions, or uv lock."
        )
    return {name: found[name] for name in sorted(names)}


def version_of(requirement: str) -> str:
    """The version of a locked requirement."""
    match = _NAME.match(requirement)
    if match is None:
        raise ValueError(f"no locked requirement: {requirement!r:.80}")
    return match[2]


def install(requirements: dict[str, str], store: Path, *, project: Path, python: str, architecture: str) -> Path:
    """A folder with these packages and nothing else, made once for each set; wheels only, every digest checked.

    One that is not what was unpacked is unpacked again.

    Raises:
        HostError: a package is not to be had (code ``host.packages-missing``), or is another than the lock's.
    """
    text = "\n".join(requirements.values()) + "\n"
    digest = hashlib.sha256(f"{python} {architecture}\n{text}".encode()).hexdigest()

    def unpack(folder: Path) -> None:
        wanted = store / f"{digest}.txt"
        wanted.write_text(text, "utf-8")
        with _pretended(architecture, store) as told:
            _fetched(
                [
                    *(_uv(project), "pip", "install", "--quiet", "--no-deps", "--require-hashes"),
                    *("--only-binary", ":all:", *_platform(architecture, python), "--no-compile-bytecode"),
                    *("--target", folder, "--requirement", wanted),
                ],
                environment=_environment() | told,
            )

    return made_folder(store / digest, unpack)


def _fetched(words: Sequence[str | Path], *, environment: dict[str, str]) -> None:
    """Run uv; HostError with its words, and with a code of its own if it did not reach what it was to fetch."""
    try:
        run(words, environment=environment)
    except HostError as error:
        if any(text in error.message for text in _NOT_REACHED):
            raise HostError(error.message, remedy=error.remedy, code="host.packages-missing") from error
        raise


def _platform(architecture: str, python: str) -> tuple[str, ...]:
    """How uv is told what packages are for."""
    wheels = ARCHITECTURES[architecture].wheels
    if wheels.startswith(_INTERPRETER):
        return ("--python", f"python{python}")
    return ("--python-platform", wheels, "--python-version", python)


@contextlib.contextmanager
def _pretended(architecture: str, store: Path) -> Iterator[dict[str, str]]:
    """What tells uv a platform that it has no word for: it asks the interpreter, and CPython says what this names.

    What uv keeps of that interpreter would be wrong for everybody else: it is thrown away.
    """
    wheels = ARCHITECTURES[architecture].wheels
    if not wheels.startswith(_INTERPRETER):
        yield {}
        return
    with work_folder(store / "uv") as folder:
        yield {"_PYTHON_HOST_PLATFORM": wheels, "UV_CACHE_DIR": str(folder.absolute())}


def _uv(project: Path) -> str:
    found = shutil.which("uv") or shutil.which("uv", path=str(project / ".uv/bin"))
    if found is None:
        raise HostError("device image: uv is not here", remedy="make setup brings it.")
    return found


def _environment() -> dict[str, str]:
    """What uv is told of this host: where it keeps what it fetched, and by which way it fetches."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("UV_", "SSL_CERT", "HTTP", "http", "https", "NO_PROXY", "no_proxy", "PIP_", "XDG_"))
        or name == "HOME"
    }
    kept.pop("UV_COMPILE_BYTECODE", None)  # the Makefile sets it for our own environment, and uv takes one word only
    return {**kept, "PATH": PATH, "UV_PYTHON_DOWNLOADS": "never", "UV_LINK_MODE": "copy"}

# SPDX-License-Identifier: Apache-2.0
"""Fragments of a kernel's configuration: one option a line, each with its reason.

::

    CONFIG_NAME=value  # why          value: y, n, a number, 0x and hex digits, or a text in double quotes

Modules (``m``) do not exist: the kernel takes none. An option stands once in all the fragments of an architecture, so
that no fragment silently takes back what another one says.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from armillary.errors import HostError, InvalidArgumentError

# Architecture as people say it -> its fragments, in the order in which they are merged.
COMMON: Final = ("base", "storage", "sandbox", "network", "peripherals", "hardening")
FRAGMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "x86_64": (*COMMON, "x86_64"),
    "arm64": (*COMMON, "arm64", "imx8mp"),
}
_LINE: Final = re.compile(r'(CONFIG_[A-Z0-9a-z_]+)=(y|n|-?[0-9]+|0x[0-9a-f]+|"[^"\\]*")  # (\S.*)')
_SET: Final = re.compile(r"(CONFIG_\w+)=(.*)")


@dataclass(frozen=True, slots=True)
class Option:
    """One option that is wanted: its name with ``CONFIG_``, its value as written, why, and where it stands."""

    name: str
    value: str
    reason: str
    place: str

    def as_configured(self) -> str:
        """The line of a ``.config``."""
        return f"# {self.name} is not set" if self.value == "n" else f"{self.name}={self.value}"


def kernel_folder() -> Path:
    """``image/kernel`` of the checkout that this package is in; HostError for an installed package, which has none."""
    found = Path(__file__).parents[4] / "image" / "kernel"
    if not found.is_dir():
        raise HostError(
            f"kernel: there are no fragments at {found}",
            remedy="Build kernels in a checkout of Armillary: git clone, make setup, make image-kernel.",
        )
    return found


def read_fragments(folder: Path, architecture: str) -> tuple[Option, ...]:
    """All options of an architecture, in the order in which they are merged.

    Raises:
        InvalidArgumentError: the architecture is unknown, a fragment is missing, a line has another form or no reason,
            or an option stands twice.
    """
    names = FRAGMENTS.get(architecture)
    if names is None:
        raise InvalidArgumentError(
            f"kernel: unknown architecture {architecture!r:.40}", remedy=f"One of: {', '.join(FRAGMENTS)}."
        )
    found: dict[str, Option] = {}
    for name in names:
        for option in read_options(folder / f"{name}.config"):
            before = found.setdefault(option.name, option)
            if before is not option:
                raise InvalidArgumentError(
                    f"{option.place}: {option.name} stands in {before.place} already", remedy="Keep one of the lines."
                )
    return tuple(found.values())


def digest(options: Iterable[Option]) -> str:
    """SHA-256 of what is wanted, in hex: the same for other reasons, files and places."""
    text = "".join(f"{option.name}={option.value}\n" for option in sorted(options, key=lambda option: option.name))
    return hashlib.sha256(text.encode()).hexdigest()


def configured(options: Iterable[Option]) -> str:
    """The lines that are put behind ``tinyconfig``'s: what is set last holds."""
    return "".join(f"{option.as_configured()}\n" for option in options)


def lost(options: Iterable[Option], configuration: str) -> tuple[tuple[Option, str], ...]:
    """Wanted options that a finished ``.config`` has another value of, with that value (``n``: it is not set)."""
    matches = map(_SET.fullmatch, configuration.splitlines())
    got = {match[1]: match[2] for match in matches if match is not None}
    return tuple((option, got.get(option.name, "n")) for option in options if got.get(option.name, "n") != option.value)


def refuse_lost(options: Sequence[Option], configuration: str) -> None:
    """InvalidArgumentError with all lost options, by place: a kernel that lacks one must not be built."""
    gone = lost(options, configuration)
    if gone:
        said = "; ".join(f"{option.place}: {option.name}={option.value} became {got}" for option, got in gone)
        raise InvalidArgumentError(
            f"kernel: {len(gone)} wanted options were lost: {said}",
            remedy="An option that it depends on is missing, or this version has no such option: mend the fragments.",
        )


def read_options(path: Path) -> Iterable[Option]:
    """The options of one fragment; InvalidArgumentError if it is missing, or a line has another form or no reason."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise InvalidArgumentError(
            f"{path.name}: {error.strerror}", remedy="Fragments are in image/kernel, and U-Boot's in image/uboot."
        ) from error
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("# "):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise InvalidArgumentError(
                f"{path.name}:{number}: expected CONFIG_NAME=value, two spaces, # and a reason, got {line!r:.100}",
                remedy="Write the value as y, n, a number or a text in quotes, and say why on the same line.",
            )
        yield Option(match[1], match[2], match[3], f"{path.name}:{number}")

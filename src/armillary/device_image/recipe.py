# SPDX-License-Identifier: Apache-2.0
"""What ``image/`` at the top of the repository says: the recipe of the root file system, pinned packages, budget."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.errors import HostError, InvalidArgumentError

RECIPE: Final = "image.toml"
DEVELOPMENT: Final = "development.toml"
BUDGET: Final = "budget.toml"
_Kind = TypeVar("_Kind")
# As a release's: it begins with a number. os-release(5) has lower case alone in VERSION_ID.
_VERSION: Final = re.compile(r"[0-9][0-9a-z.-]{0,31}", re.ASCII)
_PIN: Final = re.compile(r"([a-z0-9][a-z0-9.+-]+) (\S+) ([0-9a-f]{64})")
# What the packages of Debian's kernels begin with; what the kernel calls itself follows.
_KERNEL: Final = "linux-image-"


class DebianFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is taken of a Debian package: files by pattern; libraries that something in the image needs, with them.

    ``only`` are the architectures whose images have it; where none is named, all have.
    """

    name: str
    only: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


class PythonParts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of Python goes in.

    ``modules`` are those that are started by name; all that they import goes with them. ``folders`` of our package go
    in whole, ``distributions`` are packages of the project's lock. ``without`` are patterns below their folder.
    ``lacking`` are those of the distributions that nobody has built for an architecture.
    """

    version: str
    modules: tuple[str, ...]
    folders: tuple[str, ...]
    distributions: tuple[str, ...]
    without: tuple[str, ...] = ()
    lacking: dict[str, tuple[str, ...]] = {}


class KernelModules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the distribution's kernel: its package, and modules that are loaded before the root is mounted, or never.

    ``package`` is the one that needs the newest kernel of a kind (``linux-image-cloud-amd64``): the pins have the
    kernel's own, whose name has its version. ``compiled`` are modules that it lacks
    (``own_kernel/kernel_module.py``). ``other_disks`` are loaded only where no disk has the slot without them.
    """

    package: str
    modules: tuple[str, ...]
    compiled: tuple[str, ...] = ()
    other_disks: tuple[str, ...] = ()


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole recipe; ``text`` files are put as they stand, path -> text, ``links`` path -> target.

    ``kernel`` is by architecture, and so is ``stand_ins``: path of a library -> its C source beside the recipe.
    ``development`` says that the overlay for a development image is in it.
    """

    version: str
    packages: tuple[DebianFiles, ...]
    python: PythonParts
    kernel: dict[str, KernelModules]
    folders: tuple[str, ...] = ()
    links: dict[str, str] = {}
    stand_ins: dict[str, dict[str, str]] = {}
    text: dict[str, str] = {}
    development: bool = False


class Overlay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a development image has beyond the release image."""

    packages: tuple[DebianFiles, ...]
    links: dict[str, str] = {}


class Pin(msgspec.Struct, frozen=True):
    """One package as it has to be: its version and the SHA-256 of its file."""

    name: str
    version: str
    sha256: str


def recipe_folder() -> Path:
    """``image/`` of the checkout that this package is in; HostError for an installed package, which has none."""
    found = Path(__file__).parents[3] / "image"
    if not (found / RECIPE).is_file():
        raise HostError(
            f"device image: there is no recipe at {found}",
            remedy="Build images in a checkout of Armillary: git clone, make setup, make image.",
        )
    return found


def read_recipe(folder: Path, *, development: bool = False, version: str | None = None) -> Recipe:
    """The recipe of a folder, with another version if one is given.

    That of a development image has another version: it is never taken for the release image.

    Raises:
        InvalidArgumentError: a field is unknown, missing or of another kind, or the version is none.
    """
    recipe = _decoded(folder / RECIPE, Recipe)
    if version is not None:
        if _VERSION.fullmatch(version) is None:
            raise InvalidArgumentError(
                f"--version: expected a digit, then at most 31 of a-z, 0-9, . and -, got {version!r:.60}",
                remedy="Write it as 26.13.",
            )
        recipe = msgspec.structs.replace(recipe, version=version)
    if recipe.development:
        raise InvalidArgumentError(
            f"{RECIPE}: development is not said here", remedy="Build one: armillary image build --development."
        )
    if not development:
        return recipe
    overlay = _decoded(folder / DEVELOPMENT, Overlay)
    return msgspec.structs.replace(
        recipe,
        version=f"{recipe.version}-development",
        packages=(*recipe.packages, *overlay.packages),
        links=recipe.links | overlay.links,
        development=True,
    )


def for_architecture(recipe: Recipe, architecture: str) -> Recipe:
    """The recipe of an architecture's images: what only others have is not in it."""
    root = ARCHITECTURES[architecture].root
    lacking = recipe.python.lacking.get(root, ())
    distributions = tuple(name for name in recipe.python.distributions if name not in lacking)
    return msgspec.structs.replace(
        recipe,
        packages=tuple(each for each in recipe.packages if not each.only or root in each.only),
        python=msgspec.structs.replace(recipe.python, distributions=distributions),
    )


def package_names(recipe: Recipe, architecture: str) -> list[str]:
    """Debian packages that an image of an architecture is made of, without its kernel."""
    stub = ARCHITECTURES[architecture].stub_package
    names = [each.name for each in for_architecture(recipe, architecture).packages]
    return [*names, stub] if stub else names


def is_kernel(name: str, package: str) -> bool:
    """Whether a package is a kernel of the kind that ``package`` needs the newest of."""
    kind = package.removeprefix(_KERNEL)
    return re.fullmatch(rf"{_KERNEL}\d[^-]*-{re.escape(kind)}", name) is not None


def release_of(pin: Pin) -> str:
    """What the kernel of a package calls itself."""
    return pin.name.removeprefix(_KERNEL)


def kernel_pin(recipe: Recipe, architecture: str, pins: Mapping[str, Pin]) -> Pin:
    """The pin of the kernel of an architecture; InvalidArgumentError unless there is one and no other of its kind."""
    package = recipe.kernel[architecture].package
    found = [pin for pin in pins.values() if is_kernel(pin.name, package)]
    if len(found) != 1:
        raise InvalidArgumentError(
            f"expected one pin of a kernel for {package}, got {', '.join(pin.name for pin in found) or 'none'}",
            remedy=f"armillary image pin --arch {architecture}",
        )
    return found[0]


def read_budget(folder: Path, architecture: str) -> dict[str, float]:
    """Most megabytes for each part of an image of an architecture."""
    return _decoded(folder / BUDGET, dict[str, dict[str, float]])[architecture]


def pins_file(folder: Path, architecture: str) -> Path:
    """Where the packages of an architecture are pinned."""
    return folder / f"debian-{ARCHITECTURES[architecture].debian}.lock"


def module_pins_file(folder: Path, architecture: str) -> Path:
    """Where the packages are pinned that modules of its kernel are compiled with."""
    return folder / f"module-{ARCHITECTURES[architecture].debian}.lock"


def read_pins(path: Path) -> dict[str, Pin]:
    """Pinned packages by name; InvalidArgumentError for no such file, or a line that is not ``NAME VERSION SHA256``."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(
            f"{path}: expected a file with pinned packages: {_reason(error)}",
            remedy="Name one that armillary image pin wrote, or leave --pins out.",
        ) from error
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#") or not line:
            continue
        match = _PIN.fullmatch(line)
        if match is None:
            raise InvalidArgumentError(
                f"{path.name}:{number}: expected NAME VERSION SHA256, got {line!r:.80}",
                remedy="Write the file again: armillary image pin.",
            )
        found[match[1]] = Pin(*match.groups())
    return found


def write_pins(path: Path, pins: list[Pin]) -> None:
    """Write pins, sorted by name."""
    lines = [f"{pin.name} {pin.version} {pin.sha256}" for pin in sorted(pins, key=lambda pin: pin.name)]
    head = (
        "# Debian packages of the device image: name, version, SHA-256 of the file. Written by `armillary image pin`."
    )
    path.write_text("\n".join([head, *lines]) + "\n", "utf-8")


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is no text"


def _decoded(path: Path, kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), kind)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise InvalidArgumentError(
            f"{path.name}: {error}", remedy="Mend the file; docs/concepts/device-image.md."
        ) from error

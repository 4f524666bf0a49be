# SPDX-License-Identifier: Apache-2.0
"""The kernel of an image: the distribution's with the modules that the first program loads, or our own without any."""

from __future__ import annotations

import lzma
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from armillary.device_image import debian
from armillary.device_image.bill.part import Part
from armillary.errors import InvalidArgumentError


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel: its release, its image, and modules to be loaded in this order, name of the file -> content.

    The last ones, ``later`` of them, are loaded only where they are needed. ``parts`` is of what it is made beyond its
    own package.
    """

    release: str
    image: bytes = field(repr=False)
    modules: Mapping[str, bytes] = field(repr=False)
    later: int = 0
    parts: tuple[Part, ...] = ()


def debian_kernel(package: Path, wanted: Sequence[str], later: Sequence[str] = ()) -> Kernel:
    """The kernel of a Debian package with the modules that are wanted, now or ``later``, and with what they need.

    Raises:
        InvalidArgumentError: the package has no kernel, or not all of the modules.
    """
    files = {file.path: file.content for file in debian.files_of(package) if isinstance(file.content, bytes)}
    images = [path for path in files if path.startswith("boot/vmlinuz-")]
    if len(images) != 1:
        raise InvalidArgumentError(
            f"image.toml: [kernel] package: expected one kernel, got {images}", remedy="Name a linux-image package."
        )
    release = images[0].removeprefix("boot/vmlinuz-")
    folder = f"usr/lib/modules/{release}"
    # modules.dep is made when the package is installed; what modules need stands in themselves.
    modules = {module_name(path): path for path in files if path.startswith(f"{folder}/") and ".ko" in path}
    built_in = {module_name(line) for line in files[f"{folder}/modules.builtin"].decode("ascii").splitlines()}
    contents = {name: _unpacked(path, files[path]) for name, path in modules.items() if path}
    needs = {name: needs_of(content) for name, content in contents.items()}
    order = load_order(needs, [*wanted, *later], built_in)
    at_once = len(load_order(needs, wanted, built_in))
    return Kernel(
        release, files[images[0]], {f"{name}.ko": contents[name] for name in order}, later=len(order) - at_once
    )


def with_modules(kernel: Kernel, more: Mapping[str, bytes], *, parts: tuple[Part, ...] = ()) -> Kernel:
    """The kernel with modules of its own source, by name, which are loaded behind all that are loaded at once.

    ``parts`` is what they are compiled of.

    Raises:
        InvalidArgumentError: one of them needs a module that is not loaded before.
    """
    items = list(kernel.modules.items())
    at_once = len(items) - kernel.later
    modules = dict(items[:at_once])
    for name, content in more.items():
        lacking = [need for need in needs_of(content) if f"{need}.ko" not in modules]
        if lacking:
            raise InvalidArgumentError(
                f"image.toml: the compiled module {name} needs {', '.join(lacking)}",
                remedy="Name what it needs in [kernel] modules.",
            )
        modules[f"{name}.ko"] = content
    return replace(kernel, modules=modules | dict(items[at_once:]), parts=(*kernel.parts, *parts))


def load_order(needs: Mapping[str, tuple[str, ...]], wanted: Iterable[str], built_in: set[str]) -> list[str]:
    """Names in the order in which they are loaded: what a module needs comes before it.

    Raises:
        InvalidArgumentError: a module is neither there nor in the kernel itself.
    """
    order: list[str] = []

    def add(name: str, path: tuple[str, ...]) -> None:
        if name in order or name in built_in:
            return
        if name not in needs or name in path:
            raise InvalidArgumentError(
                f"image.toml: the kernel has no module {name}{f' ({path[-1]} needs it)' if path else ''}",
                remedy="Mend [kernel] modules.",
            )
        for each in needs[name]:
            add(each, (*path, name))
        order.append(name)

    for each in wanted:
        add(each.replace("-", "_"), ())
    return order


def module_name(path: str) -> str:
    """The name under which the kernel knows the module of a file."""
    return posixpath.basename(path).partition(".ko")[0].replace("-", "_")


def needs_of(module: bytes) -> tuple[str, ...]:
    """Names of modules that one needs: the field ``depends`` of its ``.modinfo``."""
    found: list[str] = []
    for entry in module.split(b"\0"):
        if entry.startswith(b"depends="):
            found += [name for name in entry[8:].decode("ascii").replace("-", "_").split(",") if name]
    return tuple(dict.fromkeys(found))


def _unpacked(path: str, content: bytes) -> bytes:
    return lzma.decompress(content) if path.endswith(".xz") else content

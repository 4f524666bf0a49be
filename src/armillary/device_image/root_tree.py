# SPDX-License-Identifier: Apache-2.0
"""What is in the root file system: files of packages, the interpreter, our modules, and the libraries that these need.

Python is compiled here, so that a start compiles nothing: the standard library and packages are there as compiled
modules alone; ours have their source beside them, because programs that run inside a sandbox are handed in as text.
What a start loads is in one file besides (``start/bundle.py``).
"""

from __future__ import annotations

import fnmatch
import json
import posixpath
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from armillary.device.machine.start import BUNDLE, METHODS_MODULE
from armillary.device_image import debian
from armillary.device_image.debian import PackedFile
from armillary.device_image.python_modules import PACKAGE, closure
from armillary.device_image.recipe import Recipe
from armillary.device_image.start.bundle import bundle, methods_source
from armillary.device_image.start.recording import Recorded
from armillary.device_image.tools import run
from armillary.device_image.tree import Tree
from armillary.errors import InvalidArgumentError
from armillary.wire.device_image.elf_needs import needs_of

PACKAGES: Final = "usr/lib/python3/dist-packages"
OWN: Final = "armillary"
# Reads lines [source, compiled, name in the image]; nothing of the environment changes what it writes.
_COMPILER: Final = """
import json, sys
from py_compile import PycInvalidationMode, compile
for line in sys.stdin:
    source, compiled, name = json.loads(line)
    compile(source, compiled, name, doraise=True, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
"""


def root_tree(
    recipe: Recipe,
    *,
    packages: Mapping[str, Path],
    distributions: Path,
    source: Path,
    strip: str,
    stand_ins: Mapping[str, bytes],
    started: Recorded,
) -> Tree:
    """Everything in the root.

    ``packages`` are files of Debian packages by name, ``distributions`` is a folder of Python packages, ``source`` the
    folder with our own. ``strip`` is the program of that name for the architecture, ``stand_ins`` are libraries of ours
    by path. ``started`` is what a start loads.

    Raises:
        InvalidArgumentError: the recipe names what is not there, or a program needs a library that no package has.
    """
    tree = Tree()
    libraries = _add_packages(tree, recipe, packages)
    for path in sorted(distributions.rglob("*")):
        inside = path.relative_to(distributions).as_posix()
        if path.is_file() and not _left_out(recipe, f"{PACKAGES}/{inside}") and _is_used(inside):
            tree.file(f"{PACKAGES}/{inside}", path.read_bytes(), component=_distribution(inside))
    for inside, path in own_files(recipe, source).items():
        tree.file(f"{PACKAGES}/{inside}", path.read_bytes(), component=OWN)
    tree.file(f"{PACKAGES}/{METHODS_MODULE}.py", methods_source(started).encode(), component=OWN)
    _compile(tree, recipe.python.version)
    library = f"usr/lib/python{recipe.python.version}"
    code = bundle(tree.entries, started.modules, (library, f"{library}/lib-dynload", PACKAGES))
    tree.file(BUNDLE.lstrip("/"), code, component=OWN)
    _strip(tree, strip)
    for place, content in stand_ins.items():
        tree.file(place, content, component="system")
    _add_libraries(tree, libraries)
    for place in recipe.folders:
        tree.folder(place, component="system")
    for place, target in recipe.links.items():
        tree.link(place, target, component="system")
    for place, text in {**recipe.text, "etc/os-release": os_release(recipe)}.items():
        tree.file(place, text.encode(), component="system")
    return tree


def _add_packages(tree: Tree, recipe: Recipe, packages: Mapping[str, Path]) -> dict[str, tuple[str, PackedFile]]:
    """Put the chosen files of Debian packages; returns the libraries that they have, by path."""
    libraries: dict[str, tuple[str, PackedFile]] = {}
    for wanted in recipe.packages:
        files = list(debian.files_of(packages[wanted.name]))
        for file in files:
            if fnmatch.fnmatchcase(file.path, "usr/lib/*-linux-gnu*/*.so*") or "/ld-linux" in file.path:
                libraries[file.path] = (wanted.name, file)
        for file in debian.chosen(files, wanted.files, wanted.without, package=wanted.name):
            if not _left_out(recipe, file.path):
                _put(tree, wanted.name, file)
    return libraries


def own_files(recipe: Recipe, source: Path) -> dict[str, Path]:
    """Files of our package, path below the folder of packages -> file; sorted."""
    found = {path.relative_to(source).as_posix(): path for path in closure(source, recipe.python.modules).values()}
    for folder in recipe.python.folders:
        inside = [path for path in sorted((source / folder).rglob("*")) if path.is_file()]
        if not inside:
            raise InvalidArgumentError(f"image.toml: {folder} has no files", remedy="Mend [python] folders.")
        found |= {path.relative_to(source).as_posix(): path for path in inside if "__pycache__" not in path.parts}
    return dict(sorted(found.items()))


def os_release(recipe: Recipe) -> str:
    """The text of ``/etc/os-release``."""
    name = "Armillary OS DEVELOPMENT" if recipe.development else "Armillary OS"
    variant = "VARIANT=Development\nVARIANT_ID=development\n" if recipe.development else ""
    return f'ID=armillary\nNAME="{name}"\nVERSION_ID={recipe.version}\nPRETTY_NAME="{name} {recipe.version}"\n{variant}'


def _left_out(recipe: Recipe, path: str) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in recipe.python.without)


def _is_used(inside: str) -> bool:
    """Whether a device uses a file of a distribution: no scripts, and of what describes it only the metadata."""
    if inside.startswith(("bin/", ".")):
        return False
    return ".dist-info/" not in inside or inside.endswith("/METADATA")


def _distribution(inside: str) -> str:
    return inside.partition("/")[0].partition("-")[0].partition(".")[0].lower().lstrip("_")


def _put(tree: Tree, component: str, file: PackedFile) -> None:
    if isinstance(file.content, str):
        tree.link(file.path, file.content, component=component)
    else:
        tree.file(file.path, file.content, component=component, mode=0o755 if file.mode & 0o111 else 0o644)


def _compile(tree: Tree, python: str) -> None:
    """Put compiled modules in place of sources, and beside ours."""
    sources = [path for path in sorted(tree.entries) if path.endswith(".py")]
    with tempfile.TemporaryDirectory(prefix="armillary-image-") as name:
        folder, lines = Path(name), []
        for number, path in enumerate(sources):
            content = tree.entries[path].content
            if not isinstance(content, bytes):
                continue
            (folder / f"{number}.py").write_bytes(content)
            lines.append(json.dumps([f"{folder}/{number}.py", f"{folder}/{number}.pyc", f"/{path}"]))
        run(
            [f"python{python}", "-s", "-P", "-S", "-c", _COMPILER],
            data="\n".join(lines).encode(),
            environment={"PYTHONHASHSEED": "0"},
        )
        tag = f"cpython-{python.replace('.', '')}"
        for number, path in enumerate(sources):
            entry, compiled = tree.entries[path], folder / f"{number}.pyc"
            if not compiled.exists():
                continue
            if path.startswith(f"{PACKAGES}/{PACKAGE}/"):
                place = f"{posixpath.dirname(path)}/__pycache__/{posixpath.basename(path)[:-3]}.{tag}.pyc"
            else:
                place = f"{path}c"
                del tree.entries[path]
            tree.file(place, compiled.read_bytes(), component=entry.component)


def _strip(tree: Tree, program: str) -> None:
    """Take what only a debugger reads off compiled modules: it is most of some of them."""
    paths = [path for path in sorted(tree.entries) if path.startswith(f"{PACKAGES}/") and ".so" in path]
    with tempfile.TemporaryDirectory(prefix="armillary-strip-") as name:
        files = [Path(name) / str(number) for number, _ in enumerate(paths)]
        for path, file in zip(paths, files, strict=True):
            content = tree.entries[path].content
            file.write_bytes(content if isinstance(content, bytes) else b"")
        run([program, "--strip-unneeded", "--enable-deterministic-archives", *files])
        for path, file in zip(paths, files, strict=True):
            component = tree.entries.pop(path).component
            tree.file(path, file.read_bytes(), component=component, mode=0o755)


def _add_libraries(tree: Tree, libraries: Mapping[str, tuple[str, PackedFile]]) -> None:
    """Add what programs and libraries need, until nothing is missing."""
    by_name = {posixpath.basename(path): path for path in sorted(libraries, reverse=True)}
    here = {posixpath.basename(path) for path in tree.entries}
    waiting = [(path, entry.content) for path, entry in sorted(tree.entries.items())]

    def add(path: str) -> None:
        component, file = libraries[path]
        _put(tree, component, file)
        here.add(posixpath.basename(path))
        waiting.append((path, file.content))

    while waiting:
        user, content = waiting.pop(0)
        if isinstance(content, str):  # a link brings what it points to
            target = posixpath.normpath(posixpath.join("/", posixpath.dirname(user), content)).lstrip("/")
            place = f"usr/{target}" if target.startswith("lib") else target
            if place in libraries and place not in tree.entries:
                add(place)
            continue
        for name in map(posixpath.basename, needs_of(content or b"")):
            if name not in here and name not in by_name:
                raise InvalidArgumentError(
                    f"image.toml: /{user} needs {name}, which no package of the recipe has",
                    remedy="Add the package that has it: apt-file search, or dpkg -S on this host.",
                )
            if name not in here:
                add(by_name[name])

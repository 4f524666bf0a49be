# SPDX-License-Identifier: Apache-2.0
"""Starts process 1 or the device process of a device image from one file that its build has made.

Either loads hundreds of modules. To look for each of them, to open and to read it, costs an emulated machine as much as
to run it. So the build puts the code of all that such a start loads into one file, in that order
(``device_image/start/bundle.py``). A module that is not in it is loaded as ever, and so is everything where there is no
such file. The file is in the verified root file system, as the modules themselves are.

What dataclasses compile as they are made is in it, too, and compiled patterns: see :class:`_Dataclasses` and
:class:`_Patterns`.

Format: an index, a line for each module, ``name TAB kind TAB offset TAB length TAB place``; an empty line; what the
offsets count from: compiled code, as ``marshal`` writes it. ``place`` is the file that the module is otherwise loaded
from. An extension module has no code there: ``place`` is what is loaded.
"""

from __future__ import annotations

import _sre  # type: ignore[import-not-found]  # of CPython itself; typeshed does not know it
import importlib
import marshal
import os
import sys
from importlib.machinery import ExtensionFileLoader, ModuleSpec, SourcelessFileLoader
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

BUNDLE: Final = "/usr/lib/armillary/start.code"
# The module with what is compiled as modules are loaded: METHODS of dataclasses, by the text that is compiled; PATTERNS
# by pattern and flags, and the ENGINE that they are for.
METHODS_MODULE: Final = "armillary_start_methods"
PACKAGE, MODULE, EXTENSION = "package", "module", "extension"


class Bundle:
    """Finds modules in the file; it stands before the finder that looks into folders (``sys.meta_path``)."""

    def __init__(self, descriptor: int, index: Mapping[str, tuple[str, int, int, str]]) -> None:
        self._descriptor = descriptor
        self._index = index

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """How to load a module; None if it is not in the file."""
        del path, target
        found = self._index.get(name)
        if found is None:
            return None
        kind, offset, length, place = found
        if kind == EXTENSION:
            spec = ModuleSpec(name, ExtensionFileLoader(name, place), origin=place)
        else:
            loader = _LOADERS.get(name, _Code)
            spec = ModuleSpec(
                name, loader(name, place, lambda: os.pread(self._descriptor, length, offset)), origin=place
            )
        if kind == PACKAGE:
            spec.submodule_search_locations = [place.rpartition("/")[0]]
        spec.has_location = True
        return spec


class _Code(SourcelessFileLoader):
    """Loads one module of the file; its resources are where they always are."""

    def __init__(self, name: str, place: str, read: Callable[[], bytes]) -> None:
        super().__init__(name, place)
        self._read_code = read

    def get_code(self, fullname: str) -> CodeType:
        """The module's code."""
        del fullname
        code: CodeType = marshal.loads(self._read_code())  # noqa: S302 - of the verified root, as all code is
        return code


class _Dataclasses(_Code):
    """Loads ``dataclasses``, and gives it what its calls of ``exec`` would compile.

    For each class it writes the text of its methods and has it compiled, which is a quarter of what loading a device
    costs. The same text gives the same code: it is looked up by the whole text, and one that is not known is compiled.
    """

    def exec_module(self, module: ModuleType) -> None:
        """As it is, but for ``exec``."""
        super().exec_module(module)
        methods: Mapping[str, FunctionType] = importlib.import_module(METHODS_MODULE).METHODS

        def execute(text: str, names: dict[str, object], into: dict[str, object]) -> None:
            known = methods.get(text)
            if known is None:
                exec(text, names, into)  # noqa: S102 - as dataclasses itself does
            else:
                into["__create_fn__"] = FunctionType(known.__code__, names, "__create_fn__")

        module.exec = execute  # type: ignore[attr-defined]


class _Patterns(_Code):
    """Loads the compiler of regular expressions, and gives it what it would make of patterns that are known.

    The same pattern and flags give the same code, for the same engine: another one compiles all.
    """

    def exec_module(self, module: ModuleType) -> None:
        """As it is, but for ``compile``."""
        super().exec_module(module)
        kept = importlib.import_module(METHODS_MODULE)
        compiles = module.compile
        if (_sre.MAGIC, _sre.MAXREPEAT, _sre.MAXGROUPS) != kept.ENGINE:
            return

        def compile_known(pattern: object, flags: int = 0) -> object:
            known = kept.PATTERNS.get((pattern, flags)) if isinstance(pattern, (str, bytes)) else None
            if known is None:
                return compiles(pattern, flags)
            all_flags, code, groups, names, numbers = known
            return _sre.compile(pattern, all_flags, list(code), groups, dict(names), numbers)

        module.compile = compile_known  # type: ignore[attr-defined]


_LOADERS: Final = {"dataclasses": _Dataclasses, "re._compiler": _Patterns}


def open_bundle(place: str = BUNDLE) -> Bundle | None:
    """The file's modules; None if there is no such file, or one that is cut off."""
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    head = os.pread(descriptor, 1 << 20, 0)
    end = head.find(b"\n\n") + 2
    if end < 2:
        os.close(descriptor)
        return None
    index = {}
    for line in head[: end - 2].decode("ascii").split("\n"):
        name, kind, offset, length, file = line.split("\t")
        index[name] = (kind, end + int(offset), int(length), file)
    return Bundle(descriptor, index)


def main() -> None:
    """Be what the first argument names: a module of this folder that has a ``main``."""
    found = open_bundle()
    if found is not None:
        sys.meta_path.insert(len(sys.meta_path) - 1, found)
    importlib.import_module(sys.argv.pop(1)).main()


if __name__ == "__main__":
    main()

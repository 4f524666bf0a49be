# SPDX-License-Identifier: Apache-2.0
"""Writes the file that a start loads its modules from; ``device/machine/start.py`` has its format and reads it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from armillary.device.machine.start import EXTENSION, METHODS_MODULE, MODULE, PACKAGE
from armillary.device_image.start.recording import Recorded
from armillary.device_image.tree import Entry

# A compiled module: magic number, flags, hash or time and size of its source (PEP 552), 4 bytes each; then its code.
_HEAD_BYTES: Final = 16


def methods_source(recorded: Recorded) -> str:
    """A module with what was compiled: a function for each text of dataclasses, by this text; and patterns.

    Each text defines one function, ``__create_fn__``, whose code is what matters: it is run with the names of the
    module that has the class.
    """
    functions, table = [], []
    for number, text in enumerate(recorded.texts):
        functions.append(text.replace("def __create_fn__(", f"def _{number}(", 1))
        table.append(f"    {text!r}: _{number},")
    patterns = [f"    {pattern}: {made}," for pattern, made in recorded.patterns.items()]
    lines = ["METHODS = {", *table, "}", f"ENGINE = {recorded.engine}", "PATTERNS = {", *patterns, "}", ""]
    return "\n".join([*functions, *lines])


def bundle(entries: Mapping[str, Entry], modules: Iterable[str], folders: Sequence[str]) -> bytes:
    """The file for these modules of a tree, which are in ``folders``; those that are not there are left out."""
    tagged = [path for path in sorted(entries) if path.endswith(".so") or "/__pycache__/" in path]
    stems = {f"{posixpath.dirname(path)}/{posixpath.basename(path).partition('.')[0]}": path for path in tagged}
    lines, codes, offset = [], [], 0
    for name in (METHODS_MODULE, *modules):
        for kind, place, path in _candidates(folders, name, stems):
            entry = entries.get(path)
            if entry is None or not isinstance(entry.content, bytes):
                continue
            code = b"" if kind == EXTENSION else entry.content[_HEAD_BYTES:]
            lines.append(f"{name}\t{kind}\t{offset}\t{len(code)}\t/{place}")
            codes.append(code)
            offset += len(code)
            break
    return "\n".join(lines).encode("ascii") + b"\n\n" + b"".join(codes)


def _candidates(folders: Sequence[str], name: str, stems: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """What a module may be, in the order in which Python looks: its kind, what it is loaded from, where its code is."""
    for folder in folders:
        stem = f"{folder}/{name.replace('.', '/')}"
        yield from _compiled(PACKAGE, f"{stem}/__init__", stems)
        if stem in stems:
            yield EXTENSION, stems[stem], stems[stem]
        yield from _compiled(MODULE, stem, stems)


def _compiled(kind: str, base: str, stems: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """In place of its source, or beside it."""
    yield kind, f"{base}.pyc", f"{base}.pyc"
    kept = f"{posixpath.dirname(base)}/__pycache__/{posixpath.basename(base)}"
    if kept in stems:
        yield kind, f"{base}.py", stems[kept]

# SPDX-License-Identifier: Apache-2.0
"""Breaks one thing in a module of the product while a test runs: replaces a piece of its text, and nothing else."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any


@contextlib.contextmanager
def broken(module: ModuleType, old: str, new: str) -> Iterator[None]:
    """The functions of ``module`` run as if its text had ``new`` where it has ``old``.

    Whoever imported them runs the broken ones too: their code is exchanged in place. ``old`` has to be there once.
    """
    text = inspect.getsource(module)
    assert text.count(old) == 1, f"{module.__name__} has {text.count(old)} times:\n{old}"
    file = inspect.getsourcefile(module) or ""
    before, after = (_codes(compile(each, file, "exec")) for each in (text, text.replace(old, new)))
    exchanged = [
        (function, after[name])
        for name, function in _functions(vars(module), module.__name__)
        if name in before and _shape(before[name]) != _shape(after[name])
    ]
    assert exchanged, f"no function of {module.__name__} differs without:\n{old}"
    kept = [(function, function.__code__) for function, _ in exchanged]
    try:
        for function, code in exchanged:
            function.__code__ = code
        yield
    finally:
        for function, code in kept:
            function.__code__ = code


def _shape(code: CodeType) -> tuple[Any, ...]:
    """What a function does, with all functions in it, wherever its lines are."""
    inner = [_shape(each) if isinstance(each, CodeType) else each for each in code.co_consts]
    return code.co_code, code.co_names, inner


def _codes(code: CodeType) -> dict[str, CodeType]:
    """The code of every function in a module, by its qualified name."""
    found = {}
    for each in code.co_consts:
        if isinstance(each, CodeType):
            found[each.co_qualname] = each
            found |= _codes(each)
    return found


def _functions(names: dict[str, Any] | Any, module: str) -> Iterator[tuple[str, FunctionType]]:
    for value in list(names.values()):
        each = value.fget if isinstance(value, property) else value
        each = inspect.unwrap(each) if callable(each) else each
        if isinstance(each, FunctionType) and each.__module__ == module:
            yield each.__qualname__, each
        elif isinstance(each, type) and each.__module__ == module:
            yield from _functions(vars(each), module)

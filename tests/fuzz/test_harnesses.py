# SPDX-License-Identifier: Apache-2.0
"""Every fuzz harness runs briefly with a fixed seed, and the loop itself reports what it finds."""

from __future__ import annotations

import ast
import importlib
import logging
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest
import structlog

ROOT = Path(__file__).resolve().parents[2]
HARNESSES = sorted(path.stem for path in (ROOT / "fuzz").glob("*.py") if "def fuzz(" in path.read_text("utf-8"))
RUNS = 2000  # about a second each at most; longer campaigns are run by hand (fuzz/README.md)


Load = Callable[[str], ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    monkeypatch.syspath_prepend(str(ROOT))
    kept = structlog.get_config()
    yield lambda name: importlib.import_module(f"fuzz.{name}")
    # A harness may silence the logs of what it fuzzes; whoever runs behind it in this process hears its own.
    logging.disable(logging.NOTSET)
    structlog.configure(**kept)


@pytest.mark.parametrize("name", HARNESSES)
def test_garbage_is_accepted_or_refused(name: str, load: Load):
    module = load(name)
    seeds = module.seeds()
    assert seeds, "a harness without seeds tests only the first check of its parser"
    load("harness").run(module.fuzz, seeds, runs=RUNS, seed=1)


def test_loop_lets_other_errors_escape_and_prints_the_input(load: Load, capsys: pytest.CaptureFixture[str]):
    def broken(data: bytes) -> None:
        if len(data) != 4:
            raise IndexError(data)

    with pytest.raises(IndexError):
        load("harness").run(broken, [b"seed"], runs=100, seed=1)
    assert "failing input" in capsys.readouterr().err


def test_mutants_differ_and_repeat_with_the_seed(load: Load):
    mutate = load("harness").mutate
    first = [mutate(b"seed" * 10, random.Random(number)) for number in range(50)]  # noqa: S311 - repeatable on purpose
    again = [mutate(b"seed" * 10, random.Random(number)) for number in range(50)]  # noqa: S311 - repeatable on purpose
    assert first == again
    assert len(set(first)) > 40


def lines_of(module: ModuleType) -> set[int]:
    """Lines of a harness that work on what its parser has accepted: all but refusals and ways out."""
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
    refusals = (ast.ExceptHandler, ast.Return, ast.Continue, ast.Break, ast.Raise)
    found: set[int] = set()
    waiting: list[ast.AST] = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    waiting = [each for node in waiting if node.name != "seeds" for each in node.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, refusals) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            continue
        if isinstance(node, ast.stmt) and not isinstance(node, (ast.Try, ast.FunctionDef, ast.ClassDef)):
            found.add(node.lineno)
        waiting += [each for each in ast.iter_child_nodes(node) if isinstance(each, (ast.stmt, ast.ExceptHandler))]
    return found


@pytest.mark.parametrize("name", HARNESSES)
def test_the_seeds_reach_what_a_harness_does_with_accepted_input(name: str, load: Load):
    """Mutants of seeds that are all refused try nothing but the refusal."""
    module = load(name)
    reached: set[int] = set()

    def trace(frame: FrameType, _event: str, _argument: object) -> Any:
        if frame.f_code.co_filename != module.__file__:
            return None
        reached.add(frame.f_lineno)
        return trace

    for kept in vars(module).values():  # what a harness makes once, another test may have made already
        if hasattr(kept, "cache_clear") and getattr(kept, "__module__", "") == module.__name__:
            kept.cache_clear()
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for seed in module.seeds():
            module.fuzz(seed)
    finally:
        sys.settrace(before)
    assert not lines_of(module) - reached, f"fuzz/{name}.py: no seed comes to these lines"

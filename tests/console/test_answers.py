# SPDX-License-Identifier: Apache-2.0
"""What pages ask: answers that are there, with arguments that they take, of operations and views and no route."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import armillary.console
from armillary.console.sources.source_application import QUESTIONS

CONSOLE = Path(armillary.console.__file__).parent
# Questions whose name the page puts together.
KINDS = {"list_{}s": ("group", "job", "export", "rule"), "show_{}": ("job", "export"), "{}_uses": ("group", "job")}


def parsed() -> Iterator[tuple[Path, ast.AST]]:
    for path in sorted(CONSOLE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            yield path, node


def test_every_question_of_a_page_has_an_answer_that_takes_its_arguments() -> None:
    asked = set()
    for path, node in parsed():
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ask"):
            continue
        name, named = node.args[1], [each.arg for each in node.keywords if each.arg]
        if not isinstance(name, ast.Constant):
            continue
        question = str(name.value)
        assert question in QUESTIONS, f"{path}:{node.lineno}: nothing answers {question}"
        signature, all_named = inspect.signature(QUESTIONS[question]), len(named) == len(node.keywords)
        bind = signature.bind if all_named else signature.bind_partial  # the others are in a mapping
        bind(None, **dict.fromkeys(named))
        asked.add(question)
    assert len(asked) > 40
    put_together = {form.format(kind) for form, kinds in KINDS.items() for kind in kinds}
    assert put_together <= set(QUESTIONS)
    assert set(QUESTIONS) - put_together - asked == set(), "answers that no page asks for"


def test_the_console_uses_no_module_of_routes() -> None:
    for path, node in parsed():
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("armillary.api."):
            continue
        if node.module == "armillary.api.app":  # what a role may do is asked of its table
            continue
        module = importlib.import_module(str(node.module))
        for found in (module, *(getattr(module, each.name) for each in node.names)):
            assert not hasattr(found, "ROUTES"), f"{path}:{node.lineno}: {found} has routes"

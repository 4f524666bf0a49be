# SPDX-License-Identifier: Apache-2.0
"""What pages ask: answers that are there, with arguments that they take, of operations and views and no route."""

from __future__ import annotations

import ast
import importlib
import inspect
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import pytest

import armillary.console
from armillary.console.application import CHANGE, EDIT, UPLOAD
from armillary.console.device import pages_device_life as life
from armillary.console.releases.read import CHANGES
from armillary.console.sources.permissions import ROUTES_OF, check, may_ask, route_of
from armillary.console.sources.request_context import RequestContext
from armillary.console.sources.source_application import QUESTIONS
from armillary.console.sources.sources import Sources
from armillary.errors import PermissionDeniedError
from armillary.identity.operator import Operator

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


def answers() -> dict[str, Callable[..., Any]]:
    """Every method of a source and every question, by what people of one catalog are checked by."""
    found: dict[str, Callable[..., Any]] = dict(QUESTIONS)
    for source, protocol in get_type_hints(Sources).items():
        methods = {name: each for name, each in vars(protocol).items() if inspect.isfunction(each) and name[0] != "_"}
        found |= {f"{source}.{name}": each for name, each in methods.items() if name != "ask"}
    return found


def test_every_question_names_the_route_that_decides_who_may_ask_it() -> None:
    """Whoever adds a method or a question says what it is about: without a row it is refused to people of one catalog."""
    assert set(ROUTES_OF) == set(answers())
    for question, answer in answers().items():
        rows = [route_of(question, kind) for kind in ("dashboard", "export", "group", "job", "rule")]
        named = set(inspect.signature(answer).parameters)
        for row in rows:
            assert row is not None, question
            if {"device_id", "device"} & named:
                assert "{device_id}" in row.path or question == "fleet.offer", question
            if "catalog" in named:
                assert "{catalog}" in row.path or row.narrowed, question


def test_every_form_and_button_asks_for_the_role_of_the_route_that_does_the_same() -> None:
    changes = {each for *_, each in (*CHANGE, *EDIT) if isinstance(each, str)}
    changes |= {f"fleet.{verb}" for verb in life.VERBS} | set(CHANGES.values()) | {each[2] for each in UPLOAD}
    found = {row and (row.role, row.path) for row in map(route_of, changes)}
    # One's own account and views are everybody's.
    assert {each and each[0] for each in found if not each or not each[1].startswith("/api/v1/me")} == {
        "Contributor",
        "Administrator",
    }
    for path, node in parsed():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("may", "may_ask"):
            for each in node.args:
                assert not isinstance(each, ast.Constant) or route_of(each.value), f"{path}:{node.lineno}"


@pytest.mark.parametrize("organisation", [None, "north"])
def test_what_has_no_row_or_is_about_all_catalogs_is_refused(organisation: str | None) -> None:
    operator = Operator("of-one", "Administrator", uuid.uuid4(), organisation)
    by = RequestContext(None, None, None, operator, "northwind")  # type: ignore[arg-type] # it asks none of them
    one = "you act as of-one, who is for one"
    asked = ("settings.audit_lines", "settings.tokens", "list_releases", "show_repository", "show_signing_keys")
    refused = dict.fromkeys(asked, one)
    for question, says in (refused | dict.fromkeys(("fleet.no_such", "no_such"), "no route decides")).items():
        assert not may_ask(operator, question)
        with pytest.raises(PermissionDeniedError, match=says):
            check(by, question, {})
    seen = {question for question in ROUTES_OF if may_ask(operator, question)}
    assert {"fleet.device", "hub.twin", "application.call", "rule_trace"} <= seen
    assert ("list_rules" in seen) == (organisation is None)
    assert ("fleet.of_organisation" in seen) is True


def test_the_console_uses_no_module_of_routes() -> None:
    for path, node in parsed():
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("armillary.api."):
            continue
        if node.module == "armillary.api.app":  # what a role may do is asked of its table
            continue
        module = importlib.import_module(str(node.module))
        for found in (module, *(named(module, each.name) for each in node.names)):
            assert not hasattr(found, "ROUTES"), f"{path}:{node.lineno}: {found} has routes"


def named(module: ModuleType, name: str) -> object:
    """What an import takes of a module: something in it, or a module below it that may not be loaded yet."""
    return getattr(module, name) if hasattr(module, name) else importlib.import_module(f"{module.__name__}.{name}")

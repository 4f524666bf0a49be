# SPDX-License-Identifier: Apache-2.0
"""Rules of this repository that a machine can check: sizes, names, licence lines, docstrings of packages, silent excepts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.source_code import ROOT, SOURCE, TESTS, files_of, forget, nodes, text_of, trees

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 80  # design: near 50; the hard stop leaves room for one annotated table or format
BANNED_WORDS = (
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "base",
    "manager",
    "handler",
    "processor",
    "misc",
)

MODULES = files_of(SOURCE)
OWN_FILES = [*MODULES, *(path for folder in ("tests", "bench", "fuzz", "docs") for path in files_of(ROOT / folder))]


@pytest.fixture(scope="module", autouse=True)
def parsed() -> Iterator[None]:
    """What these tests parse is theirs alone."""
    yield
    forget()


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_search_finds_the_code():
    assert len(MODULES) > 40
    assert SOURCE / "errors.py" in MODULES


def test_files_carry_their_licence_and_are_short():
    for path in OWN_FILES:
        text = text_of(path)
        assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n"), f"{relative(path)}: first line: the licence"
        length = len(text.splitlines())
        assert length <= FILE_LINES_MAX, (
            f"{relative(path)} has {length} lines; split it: at most {FILE_LINES_MAX} a file"
        )


def test_names_say_what_they_are():
    for path in MODULES:
        assert not set(re.split(r"[_.]", path.stem)) & set(BANNED_WORDS), f"module name {relative(path)} says nothing"
        for node in nodes(SOURCE)[path]:
            if isinstance(node, ast.ClassDef):
                words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*", node.name)]
                assert not set(words) & set(BANNED_WORDS), f"{relative(path)}: class name {node.name} says nothing"


def test_functions_are_short():
    for path in MODULES:
        for node in nodes(SOURCE)[path]:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                assert length <= FUNCTION_LINES_MAX, f"{relative(path)}: {node.name} has {length} lines"


def test_packages_say_what_they_are():
    for path in MODULES:
        if path.name == "__init__.py":
            docstring = ast.get_docstring(trees(SOURCE)[path])
            assert docstring, f"{relative(path)}: a docstring says what it is, what it is not, and its specification"
            assert len(docstring) > 80, f"{relative(path)}: one line is not enough to say what it is and is not"


def test_broad_excepts_give_their_reason():
    for path in MODULES:
        lines = text_of(path).splitlines()
        for node in nodes(SOURCE)[path]:
            if not isinstance(node, ast.ExceptHandler):
                continue
            names = [n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)] if node.type else ["everything"]
            if set(names) & {"Exception", "BaseException", "everything"}:
                nearby = "\n".join(lines[max(0, node.lineno - 2) : node.lineno + 1])
                assert "#" in nearby, f"{relative(path)}:{node.lineno}: a broad except needs its reason beside it"


# The queue of a guardian carries nothing but the standard library, into the sandbox.
DATABASES = ("engines/database", "engines/series/database", "engines/records", "engines/equipment/queueing")


def test_drivers_of_databases_stand_behind_their_port():
    for path in MODULES:
        if relative(path).removeprefix("src/armillary/").startswith(DATABASES):
            continue
        for node in nodes(SOURCE)[path]:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
                drivers = {name.partition(".")[0] for name in names} & {"sqlite3", "psycopg"}
                assert not drivers, f"{relative(path)}: its store takes a Connection of engines/database/port.py"


def test_only_the_guard_makes_permits():
    """Links to equipment send permits; so nothing goes to equipment that the guard did not allow."""
    makers = {
        relative(path)
        for path in MODULES
        for node in nodes(SOURCE)[path]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Permit"
    }
    assert "src/armillary/guard/deciding.py" in makers
    assert all(name.startswith("src/armillary/guard/") for name in makers), f"permits are made outside: {makers}"


def test_every_folder_of_tests_mirrors_a_room():
    rooms = {path.name for path in SOURCE.iterdir() if path.is_dir()}
    kinds = {
        "properties",
        "attacks",
        "conformance",
        "e2e",
        "fault",
        "fuzz",
        "power",
        "artefacts",
        "fixtures",
        "applibs",
    }
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= rooms | kinds, f"tests folders that mirror nothing: {sorted(folders - rooms - kinds)}"


# Programs that fork, and may: they have no threads.
# The second is a program of its own, which no test imports.
FORKS = {"tests/engines/series/cut_runner.py", "tests/attacks/corpus/application/table.py"}
START = "start it with tests/fixtures/processes.py: it ends with its block, whatever happens in it"
WAIT = "wait with tests/fixtures/waiting.py, which has a limit"
FORK = "a fork in a process with threads may stand still for ever: start a program"


def test_no_failing_test_can_hang_the_suite():
    """Processes end with their block, nothing forks beside threads. Text of programs that tests start is no code."""
    for path in files_of(TESTS):
        called, defined, modules = set[str](), set[str](), set[str]()
        for node in nodes(TESTS)[path]:
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                called.add(f"{node.value.id}.{node.attr}")
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.args.args:
                defined.add(f"{node.name}({node.args.args[0].arg})")
            elif isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules |= {f"{node.module}.{alias.name}" for alias in node.names}
        if not path.is_relative_to(TESTS / "fixtures"):
            assert "subprocess.Popen" not in called | modules, f"{relative(path)}: {START}"
            hand_made = {f"{name}(condition)" for name in ("until", "wait", "wait_for", "wait_until", "eventually")}
            assert not defined & hand_made, f"{relative(path)}: {WAIT}"
        if relative(path) not in FORKS:
            assert "os.fork" not in called | modules, f"{relative(path)}: {FORK}"
        forking = [name for name in modules if name.startswith("multiprocessing") or "ProcessPoolExecutor" in name]
        assert not forking, f"{relative(path)}: {FORK}"


def test_defaults_of_dataclasses_are_what_every_python_takes():
    """Python 3.11 refuses a default without a hash, and a mapping that may only be read has none there."""
    for path in MODULES:
        for node in nodes(SOURCE)[path]:
            for field in node.body if isinstance(node, ast.ClassDef) else ():
                value = field.value if isinstance(field, ast.AnnAssign) else None
                called = ast.unparse(value.func) if isinstance(value, ast.Call) else ""
                assert called != "MappingProxyType", f"{relative(path)}:{field.lineno}: use field(default_factory=dict)"


FOLDERS = {"armillary": SOURCE, **{name: ROOT / name for name in ("tests", "bench", "fuzz", "docs")}}


def bound_at_the_top(body: list[ast.stmt]) -> Iterator[str]:
    """Every name that a module binds, also below `if`, `try` and `with`."""
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield statement.name
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in statement.names)
        elif isinstance(statement, ast.TypeAlias):
            yield statement.name.id
        else:
            for node in ast.iter_child_nodes(statement):
                if isinstance(node, ast.ExceptHandler):
                    yield from bound_at_the_top(node.body)
                elif isinstance(node, ast.stmt):
                    yield from bound_at_the_top([node])
                else:
                    yield from (
                        each.id
                        for each in ast.walk(node)
                        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
                    )


def test_names_that_our_code_imports_of_our_code_exist():
    """Also in tests, benchmarks and fuzz harnesses, which no type checker reads."""
    modules = {
        ".".join((package, *path.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__"): tree
        for package, folder in FOLDERS.items()
        for path, tree in trees(folder).items()
    }
    names = {module: set(bound_at_the_top(tree.body)) for module, tree in modules.items()}
    spaces = {module.rpartition(".")[0] for module in modules}
    missing, seen = [], 0
    for importer, tree in modules.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in FOLDERS:
                seen += len(node.names)
                missing += [
                    f"{importer}: from {node.module} import {alias.name}"
                    for alias in node.names
                    if alias.name not in names.get(node.module, ())
                    and f"{node.module}.{alias.name}" not in modules
                    and f"{node.module}.{alias.name}" not in spaces
                    and "__getattr__" not in names.get(node.module, ())
                ]
    assert seen > 10_000
    assert missing == []


IMPORTED = re.compile(r'^import \{([^}]*)\} from "\./([^"]+)";', re.MULTILINE)
EXPORTED = re.compile(r"^export (?:async )?(?:const|let|function\*?|class) (\w+)", re.MULTILINE)


def test_scripts_of_the_console_import_what_others_export():
    """A browser loads none of a page's scripts where one name is missing."""
    folder = SOURCE / "console/static"
    scripts = {path.name: path.read_text("utf-8") for path in folder.glob("*.js")}
    imported = [
        (name, other, word.split(" as ")[0].strip())
        for name, text in scripts.items()
        for words, other in IMPORTED.findall(text)
        for word in words.split(",")
        if word.strip()
    ]
    assert len(imported) > 20
    missing = [each for each in imported if each[2] not in EXPORTED.findall(scripts[each[1]])]
    assert missing == []

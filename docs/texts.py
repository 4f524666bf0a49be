# SPDX-License-Identifier: Apache-2.0
"""``python -m docs.texts``: bring the console's catalogs of texts up to date with the code.

``console/texts/console.pot`` has every text of the console, taken from ``say`` and ``say_count`` in its modules and
templates, and from tables of the API whose sentences it shows; each ``*.po`` beside it, one a language, gets the new
ones (to be translated by hand) and loses those that nothing says any more; each ``*.mo`` is its compiled form, which
is what is read. ``--check`` changes nothing and fails if a file would change, or a text is not translated.

Texts are sorted, and say nothing of where or when, so that the files change only with the texts.
"""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

from armillary.api.views.service import DEPLOYMENT_WORDS
from armillary.attest.appraise import STEPS
from armillary.console.language.script_texts import said_in
from armillary.service.assessment import properties
from armillary.service.assessment.properties import PROPERTIES
from armillary.wire.device.finding import KINDS
from armillary.wire.device.update_reason import NEXT_CHECK_INS, REASONS

CONSOLE = Path(__file__).resolve().parent.parent / "src" / "armillary" / "console"
TEXTS = CONSOLE / "texts"
_KEYWORDS = ("say", "say_count", "counted", "counted_page")
_NO_DAY = datetime(2026, 1, 1, tzinfo=UTC)  # a compiled catalog has dates in its head
_OPTIONS = {"trim_blocks": "true", "lstrip_blocks": "true"}


def main(arguments: list[str]) -> int:
    """Write the files, or compare them."""
    is_check = arguments == ["--check"]
    made = files()
    if not is_check:
        for path, content in made.items():
            path.write_bytes(content)
        return 0
    wrong = [path.name for path, content in made.items() if not path.exists() or path.read_bytes() != content]
    for name in wrong:
        sys.stderr.write(f"{name} is not what the code says: make texts\n")
    lacking = [f"{path.name}: {each!r}" for path in sorted(TEXTS.glob("*.po")) for each in untranslated(path)]
    for each in lacking:
        sys.stderr.write(f"not translated: {each}\n")
    return 1 if wrong or lacking else 0


def files() -> dict[Path, bytes]:
    """Every file of texts -> what should stand in it."""
    template = _catalog("")
    for message in sorted(_messages(), key=str):
        template.add(message)
    made = {TEXTS / "console.pot": _po(template)}
    for path in sorted(TEXTS.glob("*.po")):
        catalog = _catalog(path.stem)
        for each in _read(path):
            if each.id and each.id in template:
                catalog.add(each.id, each.string)
        for each in template:
            if each.id and each.id not in catalog:
                catalog.add(each.id)
        made[path] = _po(catalog)
        out = io.BytesIO()
        write_mo(out, catalog)
        made[path.with_suffix(".mo")] = out.getvalue()
    return made


def untranslated(path: Path) -> Iterator[str | tuple[str, str]]:
    """Texts of a catalog that have no translation."""
    for each in _read(path):
        forms = each.string if isinstance(each.string, tuple) else (each.string,)
        if each.id and not all(forms):
            yield each.id


def _messages() -> set[str | tuple[str, str]]:
    """Texts that modules and templates say: one, or (for one, for many)."""
    found: set[str | tuple[str, str]] = set(of_the_api())
    for path in sorted(CONSOLE.rglob("*.py")):
        found.update(texts_of(path.read_text("utf-8"), str(path.relative_to(CONSOLE))))
    for path in sorted((CONSOLE / "static").glob("*.js")):
        found.update(said_in(path.read_text("utf-8")))
    for path in sorted(CONSOLE.rglob("*.html")):
        with path.open("rb") as file:
            for line, function, given, _ in babel_extract(file, _KEYWORDS, (), _OPTIONS):
                texts = (given,) if isinstance(given, str) else tuple(given)
                found.update(_said(function, texts, f"{path.name}:{line}"))
    return found


def of_the_api() -> Iterator[str]:
    """Sentences of the API that never change, which the console says by ``known``."""
    for reason in REASONS:
        yield from (reason.meaning, reason.remedy)
    yield from (after.meaning for after in NEXT_CHECK_INS)
    for _, name, prevents in STEPS:
        yield from (name, prevents)
    for _, words in DEPLOYMENT_WORDS.values():
        yield words
    for kind, means in KINDS.items():
        yield from (kind.replace("-", " "), means)
    for each in PROPERTIES:
        yield from (each.title, each.question)
    yield from answers_of(Path(properties.__file__).read_text("utf-8"))


def answers_of(source: str) -> Iterator[str]:
    """Sentences of ``Answer`` in a module that name nothing of a device."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Answer":
            says = node.args[1]
            if isinstance(says, ast.Constant):
                yield str(says.value)


def texts_of(source: str, name: str) -> Iterator[str | tuple[str, str]]:
    """Texts that a module says.

    Raises:
        ValueError: one is not a literal, so that nobody could translate it.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _KEYWORDS:
            given = tuple(each.value if isinstance(each, ast.Constant) else None for each in node.args)
            yield from _said(node.func.id, given, f"{name}:{node.lineno}")


def _said(function: str, given: tuple[object, ...], where: str) -> Iterator[str | tuple[str, str]]:
    """The texts of one call with these arguments, None of what is no literal."""
    if function in ("say", "say_count"):
        forms = given[:1] if function == "say" else given[-2:]
        if not forms or not all(isinstance(each, str) for each in forms):
            raise ValueError(f"{where}: {function} takes literals: give what changes by gaps")
        yield str(forms[0]) if function == "say" else (str(forms[0]), str(forms[1]))
        return
    one, many = (*given[1:3], None)[:2]  # words that are no literals have marks of their own, or none
    if isinstance(one, str) and (isinstance(many, str) or len(given) < 3):
        yield f"{{count}} {one}", f"{{count}} {many or one + 's'}"
        if function == "counted_page":
            yield f"{{count}} or more {one}s"


def _catalog(language: str) -> Catalog:
    return Catalog(
        locale=language or None, project="Armillary", charset="utf-8", creation_date=_NO_DAY, revision_date=_NO_DAY
    )


def _read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.stem, abort_invalid=True)


def _po(catalog: Catalog) -> bytes:
    """A catalog as text, without the lines of its head that say when and by whom."""
    out = io.BytesIO()
    write_po(out, catalog, width=120, no_location=True, sort_output=True, omit_header=True)
    return _head(catalog) + out.getvalue()


def _head(catalog: Catalog) -> bytes:
    lines = ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"]
    if catalog.locale is not None:
        lines += [f"Language: {catalog.locale}", f"Plural-Forms: {catalog.plural_forms}"]
    said = "".join(f'"{line}\\n"\n' for line in lines)
    return f'# SPDX-License-Identifier: Apache-2.0\nmsgid ""\nmsgstr ""\n{said}\n'.encode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

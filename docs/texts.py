# SPDX-License-Identifier: Apache-2.0
"""``python -m docs.texts``: bring the console's catalogs of texts up to date with the code.

``console/texts/console.pot`` has every text of the console, taken from ``say`` and ``say_count`` in its modules and
templates; each ``*.po`` beside it, one a language, gets the new ones (to be translated by hand) and loses those that
nothing says any more; each ``*.mo`` is its compiled form, which is what is read. ``--check`` changes nothing and fails
if a file would change, or a text is not translated.

Texts are sorted, and say nothing of where or when, so that the files change only with the texts.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

CONSOLE = Path(__file__).resolve().parent.parent / "src" / "armillary" / "console"
TEXTS = CONSOLE / "texts"
_KEYWORDS = {"say": None, "say_count": (2, 3)}
_METHODS = {".py": "python", ".html": "jinja2.ext:babel_extract"}
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
    found: set[str | tuple[str, str]] = set()
    for path in sorted(CONSOLE.rglob("*")):
        if path.suffix in _METHODS:
            with path.open("rb") as file:
                for _, message, _, _ in extract(_METHODS[path.suffix], file, _KEYWORDS, options=_OPTIONS):
                    found.add(message)
    return found


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

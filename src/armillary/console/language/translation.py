# SPDX-License-Identifier: Apache-2.0
"""Says the interface's texts in a language: a catalog of texts, and how templates use it."""

from __future__ import annotations

import gettext
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final, Protocol

from markupsafe import Markup, escape

from armillary.console.language.say import Text

ENGLISH: Final = "en"
# code (BCP 47) -> the language's own name for itself.
LANGUAGES: Final[Mapping[str, str]] = MappingProxyType({ENGLISH: "English", "de": "Deutsch"})


class _Catalog(Protocol):
    def gettext(self, message: str) -> str: ...

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str: ...


class Translation:
    """The texts of one language. What its catalog lacks is said in English."""

    def __init__(self, code: str, catalog: _Catalog) -> None:
        self.code = code
        self._catalog = catalog

    def say(self, message: str, /, **values: object) -> str:
        """A text of a template, whose gaps may hold markup."""
        return self._said(Text(message, values))

    def say_count(self, count: int, one: str, many: str, /, **values: object) -> str:
        """A text of a template that counts."""
        return self._said(Text(one, values, many=many, count=count))

    def text(self, value: str) -> str:
        """A marked text in this language, with the texts in its gaps; any other string as it is."""
        if not isinstance(value, Text):
            return value
        said = self._form(value).format_map({name: self.value(each) for name, each in value.values.items()})
        return said if value.shape is None else value.shape(said)

    def _form(self, text: Text) -> str:
        """The form of a text in this language, with its gaps."""
        if text.many:
            return self._catalog.ngettext(text.message, text.many, text.number)
        return self._catalog.gettext(text.message)

    def _said(self, text: Text) -> str:
        """A text in this language; with markup in a gap, all else in it is made safe."""
        if not any(isinstance(each, Markup) for each in text.values.values()):
            return self.text(text)
        return escape(self._form(text)).format(**{name: self.value(each) for name, each in text.values.items()})

    def forms(self, messages: Iterable[str]) -> dict[str, str]:
        """Texts with their gaps -> the same in this language, for a script that fills them."""
        return {each: self._catalog.gettext(each) for each in messages}

    def value(self, value: Any) -> Any:
        """What a template writes: texts in this language, all else as it is."""
        return self.text(value) if isinstance(value, Text) else value

    def document(self, value: Any) -> Any:
        """What a script is sent: the texts in objects and lists in this language, all else as it is."""
        if isinstance(value, Mapping):
            return {name: self.document(each) for name, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.document(each) for each in value]
        return self.value(value)


@cache
def translation(code: str) -> Translation:
    """The texts of a language of :data:`LANGUAGES`; read when somebody first asks for it."""
    if code == ENGLISH:
        return Translation(code, gettext.NullTranslations())
    with (resources.files("armillary.console") / "texts" / f"{code}.mo").open("rb") as file:
        return Translation(code, gettext.GNUTranslations(file))

# SPDX-License-Identifier: Apache-2.0
"""Says the interface's texts in a language: a catalog of texts, and how templates use it."""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final, Protocol

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
        """A text of a template."""
        return self.text(Text(message, values))

    def say_count(self, count: int, one: str, many: str, /, **values: object) -> str:
        """A text of a template that counts."""
        return self.text(Text(one, values, many=many, count=count))

    def text(self, value: str) -> str:
        """A marked text in this language, with the texts in its gaps; any other string as it is."""
        if not isinstance(value, Text):
            return value
        if value.many:
            form = self._catalog.ngettext(value.message, value.many, value.number)
        else:
            form = self._catalog.gettext(value.message)
        said = form.format_map({name: self.value(each) for name, each in value.values.items()})
        return said if value.shape is None else value.shape(said)

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

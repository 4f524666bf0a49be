# SPDX-License-Identifier: Apache-2.0
"""Lays pages out by templates, in the language of who reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.ext import Extension

from armillary.console.language.say import Text
from armillary.console.language.script_texts import script_texts
from armillary.console.language.translation import ENGLISH, translation

# Attributes of HTML that machines read, with what stands in them; and what a template writes there.
_ATTRIBUTE: Final = re.compile(
    r"""(?<![\w-])(?:value|name|id|for|list|pattern|href|action|formaction|src|class)="""
    r'''"(?:{{.*?}}|{%.*?%}|[^"{]|{(?![{%]))*"'''
)
_WRITTEN: Final = re.compile(r"{{-?(.*?)-?}}")


class _Codes(Extension):
    """Leaves texts English where a machine reads them: a form sends the same in every language."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002 - Jinja's
        return _ATTRIBUTE.sub(lambda found: _WRITTEN.sub(r"{{ (\1) | english }}", found[0]), source)


def _english(value: Any) -> Any:
    """A marked text without its mark."""
    return str(value) if type(value) is Text else value


class Rendering:
    """The templates; each language has compiled ones of its own, made when it is first read."""

    def __init__(self, static: Callable[[str], str]) -> None:
        self._static = static
        self._of = cache(self._environment)

    def text(self, template: str, language: str, frame: Mapping[str, Any], values: Mapping[str, Any]) -> str:
        """A template with its frame, which it knows as ``page``, and its values."""
        return self._of(language).get_template(template).render(page=frame, **values)

    def _environment(self, language: str) -> Environment:
        """Templates that write in a language of ``LANGUAGES``, and say their own texts by ``say`` and ``say_count``."""
        texts = translation(language)
        environment = Environment(
            loader=PackageLoader("armillary.console", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=() if language == ENGLISH else (_Codes,),
            finalize=None if language == ENGLISH else texts.value,
        )
        environment.filters["english"] = _english
        environment.globals |= {"static": self._static, "say": texts.say, "say_count": texts.say_count}
        environment.globals["script_texts"] = {} if language == ENGLISH else texts.forms(script_texts())
        return environment

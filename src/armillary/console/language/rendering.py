# SPDX-License-Identifier: Apache-2.0
"""Lays pages out by templates, in the language of who reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from armillary.console.language.translation import ENGLISH, translation


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
            finalize=None if language == ENGLISH else texts.value,
        )
        environment.globals |= {"static": self._static, "say": texts.say, "say_count": texts.say_count}
        return environment

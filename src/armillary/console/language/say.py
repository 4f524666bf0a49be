# SPDX-License-Identifier: Apache-2.0
"""Marks texts that people read: English as it stands, with what is needed to say it in another language. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Self


class Text(str):
    """A text of the interface.

    It is the English text. ``message`` is the key in a catalog: the English text with its gaps (``{name}``); ``many``
    the same for other counts than one, "" where nothing is counted; ``number`` decides between them; ``values`` are
    what stands in the gaps, texts among them. ``shape`` is what is done with it when it is said, in any language.
    """

    __slots__ = ("many", "message", "number", "shape", "values")

    message: str
    many: str
    number: int
    values: Mapping[str, object]
    shape: Callable[[str], str] | None

    def __new__(
        cls,
        message: str,
        values: Mapping[str, object],
        *,
        many: str = "",
        count: int = 1,
        shape: Callable[[str], str] | None = None,
    ) -> Self:
        """Fill the gaps of the English form."""
        said = (many if many and count != 1 else message).format_map(values)
        self = super().__new__(cls, said if shape is None else shape(said))
        self.message, self.many, self.number, self.values, self.shape = message, many, count, values, shape
        return self

    def __deepcopy__(self, memo: object) -> Self:
        """Itself, since it never changes: what ``dataclasses.asdict`` makes keeps its texts."""
        return self


def say(message: str, /, **values: object) -> Text:
    """A text with its gaps filled: ``say("{name} is connected", name=device.name)``."""
    return Text(message, values)


def say_count(count: int, one: str, many: str, /, **values: object) -> Text:
    """A text that counts: ``say_count(n, "{n} device", "{n} devices", n=grouped(n))``."""
    return Text(one, values, many=many, count=count)


def known(sentence: str, /) -> Text:
    """A sentence of the API out of a table that ``docs/texts.py`` takes texts from; of no table: as it is."""
    return Text(sentence.replace("{", "{{").replace("}", "}}"), {})


def shaped(text: str, shape: Callable[[str], str]) -> str:
    """What ``shape`` makes of a text: of a marked one in every language."""
    return Text("{text}", {"text": text}, shape=shape) if isinstance(text, Text) else shape(text)


def apart(parts: Sequence[str], between: str = ", ") -> str:
    """Texts one after another; marked if one of them is. What stands between them is the same in every language."""
    if not any(isinstance(each, Text) for each in parts):
        return between.join(parts)
    mark = between.replace("{", "{{").replace("}", "}}")
    named = {f"part_{at}": each for at, each in enumerate(parts)}
    return Text(mark.join(f"{{{name}}}" for name in named), named)

# SPDX-License-Identifier: Apache-2.0
"""Marks texts that people read: English as it stands, with what is needed to say it in another language. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self


class Text(str):
    """A text of the interface.

    It is the English text. ``message`` is the key in a catalog: the English text with its gaps (``{name}``); ``many``
    the same for other counts than one, "" where nothing is counted; ``number`` decides between them; ``values`` are
    what stands in the gaps, texts among them.
    """

    __slots__ = ("many", "message", "number", "values")

    message: str
    many: str
    number: int
    values: Mapping[str, object]

    def __new__(cls, message: str, values: Mapping[str, object], *, many: str = "", count: int = 1) -> Self:
        """Fill the gaps of the English form."""
        form = many if many and count != 1 else message
        self = super().__new__(cls, form.format_map(values))
        self.message, self.many, self.number, self.values = message, many, count, values
        return self


def say(message: str, /, **values: object) -> Text:
    """A text with its gaps filled: ``say("{name} is connected", name=device.name)``."""
    return Text(message, values)


def say_count(count: int, one: str, many: str, /, **values: object) -> Text:
    """A text that counts: ``say_count(n, "{n} device", "{n} devices", n=grouped(n))``."""
    return Text(one, values, many=many, count=count)

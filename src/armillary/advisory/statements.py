# SPDX-License-Identifier: Apache-2.0
"""Which VEX statement holds for a vulnerability in a component of an image: the last that was said of it.

A statement is about a component if it names the component itself, or the image and the component in it, or the image as
a whole. Package URLs are compared by type, namespace, name and, where the statement has one, version, in the spelling
of their ecosystem; what a statement says in qualifiers has to be so. Other names (hashes, CPEs, ids of ours) are
compared as they are. Of statements said at one time the one that says more is wrong counts: affected, under
investigation, fixed, not affected.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from armillary.advisory.ecosystem import folded
from armillary.errors import AdvisoryError
from armillary.wire.advisory.package_url import PackageUrl, parse
from armillary.wire.advisory.vex import Product, Status, UnverifiedStatement

_WORSE: Final = MappingProxyType(
    {Status.NOT_AFFECTED: 0, Status.FIXED: 1, Status.UNDER_INVESTIGATION: 2, Status.AFFECTED: 3}
)
# Package URLs of statements and components, about 1 KB each.
_PARSED: Final = 20_000
# Package URL types whose names differ in case only by mistake, by the ecosystem that says so.
_FOLDED: Final = MappingProxyType({"pypi": "PyPI", "golang": "Go", "nuget": "NuGet", "composer": "Packagist"})


# Under what a statement is looked for: the vulnerability, and a name of a product or the package that it is a URL of.
_Place = tuple[str, str | tuple[str, str, str]]


class Statements:
    """Statements whose authors are trusted, by vulnerability and by what they are about."""

    def __init__(self, statements: Iterable[UnverifiedStatement]) -> None:
        self._by_place: dict[_Place, list[tuple[UnverifiedStatement, Product]]] = {}
        for each in statements:
            for name, product in itertools.product(each.names, each.products):
                for place in {_place(one) for one in product.ids}:
                    self._by_place.setdefault((name, place), []).append((each, product))

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said: of most advisories, which are asked about every image."""
        return not self._by_place

    def about(self, names: Iterable[str], purl: str, image: Collection[str]) -> UnverifiedStatement | None:
        """The statement that holds for a component, by any name of the vulnerability; None if there is none.

        ``image`` are the names of the image that it is in: its digest ``sha256:HEX``, ids, package URLs.
        """
        places = {_place(each) for each in (purl, *image) if each}
        found = [
            each
            for place in itertools.product(names, places)
            for each, product in self._by_place.get(place, ())
            if _is_about(product, purl, image)
        ]
        return max(found, key=lambda each: (each.said, _WORSE[each.status]), default=None)


def _is_about(product: Product, purl: str, image: Collection[str]) -> bool:
    if any(each in image or any(_names(each, one) for one in image) for each in product.ids):
        return not product.components or any(_names(each, purl) for each in product.components)
    return not product.components and any(_names(each, purl) for each in product.ids)


def _place(name: str) -> str | tuple[str, str, str]:
    parsed = _parsed(name)
    return name if parsed is None else (parsed.type, *_spelt(parsed))


def _names(stated: str, purl: str) -> bool:
    """Whether a name of a statement names a component."""
    if stated == purl:
        return bool(purl)
    one, other = _parsed(stated), _parsed(purl)
    return (
        one is not None
        and other is not None
        and one.type == other.type
        and _spelt(one) == _spelt(other)
        and one.version in ("", other.version)
        and all(other.qualifiers.get(key) == value for key, value in one.qualifiers.items())
    )


def _spelt(one: PackageUrl) -> tuple[str, str]:
    ecosystem = _FOLDED.get(one.type)
    return (one.namespace, one.name) if ecosystem is None else (one.namespace.lower(), folded(ecosystem, one.name))


@lru_cache(maxsize=_PARSED)
def _parsed(text: str) -> PackageUrl | None:
    if not text.startswith("pkg:"):
        return None
    try:
        return parse(text)
    except AdvisoryError:
        return None

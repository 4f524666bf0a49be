# SPDX-License-Identifier: Apache-2.0
"""A shape of the API: what routes for the same clients share; and the table of all routes of several shapes.

A shape declares its paths, the form of its errors and how its callers authenticate. ``api/app.py`` lists the shapes
that are served; nothing in ``api/http`` knows one of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.routing import BaseRoute, compile_path

from armillary.api.http.problems import Form, problem_details
from armillary.api.http.route import Route

if TYPE_CHECKING:
    from armillary.engines.records.schema.rows import Token
    from armillary.service.assemble import SecurityService

Authenticate = Callable[[Request, Route, "SecurityService"], Awaitable["Token | None"]]


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape."""

    routes: Sequence[Route]  # in the order in which paths are matched
    has: Callable[[str], bool]  # whether a canonical path belongs to it
    form: Form = problem_details  # makes the answer to a problem
    # From path and query, the path as the rows spell it; other shapes' paths are returned unchanged.
    canonical: Callable[[str, str], str] = lambda path, _: path
    unknown: Sequence[Route] = ()  # rows for unknown paths (``routes.unknown``), matched after all others
    # Reads the token of a request, or raises UnauthenticatedError; RFC 6750's way where it is None.
    secret_of: Callable[[Request], str] | None = None
    authenticate: Authenticate | None = None  # another way; returns None for a request that does not use it
    # Names that a query may have besides those that the endpoint declares; None for any.
    query_names: Callable[[Route], frozenset[str] | None] = lambda _: None
    # Makes one route that answers for all rows; each row is a route of its own where it is None.
    mounted: Callable[[Shape], BaseRoute] | None = None


class Shapes:
    """Several shapes as one API: a path that two of them have belongs to the first.

    ``routes`` has every row by ``METHOD path``.

    Raises:
        ValueError: two rows have the same method and path.
    """

    def __init__(self, *shapes: Shape) -> None:
        self._shapes = shapes
        found: dict[str, Route] = {}
        for row in (row for shape in shapes for row in (*shape.routes, *shape.unknown)):
            for key in row.keys:
                if key in found:
                    raise ValueError(f"two rows for {key}")
                found[key] = row
        self.routes: Mapping[str, Route] = found
        self._heads = tuple(compile_path(row.path)[0] for row in found.values() if row.method == "HEAD")

    def __iter__(self) -> Iterator[Shape]:
        return iter(self._shapes)

    def canonical(self, path: str, query: str) -> str:
        """A path as the rows spell it."""
        for shape in self._shapes:
            path = shape.canonical(path, query)
        return path

    def has(self, path: str) -> bool:
        """Whether a path is one of any shape."""
        return any(shape.has(path) for shape in self._shapes)

    def answers_head(self, path: str) -> bool:
        """Whether a row of its own answers HEAD for a path; elsewhere the row that answers GET does."""
        return any(pattern.fullmatch(path) for pattern in self._heads)

    def form(self, path: str) -> Form:
        """The form of errors for a path."""
        return next((shape.form for shape in self._shapes if shape.has(path)), problem_details)

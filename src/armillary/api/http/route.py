# SPDX-License-Identifier: Apache-2.0
"""One row for each route: method, path, role, what a restricted token reaches by it, and its limits.

Rows stand in the tuple ``ROUTES`` at the end of the module that has their endpoints. The rest is derived from them: the
mounted routes (``routes.py``), authentication (``auth.py``), what tokens of one catalog or organisation reach
(``scope.py``), the OpenAPI document and the reference (``openapi.py``, ``docs/api_page.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

from starlette.responses import Response

from armillary.api.http.json_body import MAX_VALUES

PUBLIC: Final = "public"  # no token: says nothing about devices or people
SCRAPE: Final = "scrape"  # Reader token, or a caller on this host
FACTORY: Final = (
    "factory"  # Contributor token, or an enrolment token: service/factory/enrolments.py says what it allows
)
CONTROLLER: Final = "controller"  # a bridged device, which its shape authenticates; no operator token
READER: Final = "Reader"  # sees
CONTRIBUTOR: Final = "Contributor"  # changes products, devices, images, roll-outs
ADMINISTRATOR: Final = "Administrator"  # changes who and what is trusted
RANK: Final[Mapping[str, int]] = {READER: 1, CONTRIBUTOR: 2, ADMINISTRATOR: 3}

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
ANY: Final = "*"  # every one of METHODS
# Bodies are names, ids and small documents: a claim of a thousand devices is 135 KiB.
BODY_LIMIT_BYTES: Final = 256 << 10


class Reach(Enum):
    """What a token of one catalog reaches by a route."""

    NAMED = auto()  # the catalog, or the device, that the path names
    TOKEN = auto()  # the route names no catalog: it is about the token's
    CALLER = auto()  # the route is about the caller alone, or the same for everybody


class OfOrganisation(Enum):
    """What a token of one organisation reaches by a route."""

    DEVICE = auto()  # the device that the path names
    LIST = auto()  # the route shows it what is of the organisation, and nothing else
    SUBTREE = auto()  # the organisation that the path names: its own, or one below
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class Route:
    """One route."""

    method: str  # HTTP method; :data:`ANY` for all
    path: str
    endpoint: Callable[..., Any]  # plain function (runs in the thread pool) or coroutine function
    role: str  # that the caller needs; :data:`PUBLIC`, :data:`SCRAPE` or :data:`FACTORY` for callers without a role
    status: int | None = None  # of a good answer; None for 200
    tag: str = ""  # its part of the reference; empty for a route that the OpenAPI document leaves out
    narrowed: bool = False  # whether ``catalog=`` narrows it to a catalog that the token reaches
    reach: Reach = Reach.NAMED
    organisation: OfOrganisation = OfOrganisation.DEVICE
    # From the values of the path, catalogs that are named in another way; None if it shows nothing.
    catalogs: Callable[[Mapping[str, str]], Sequence[str] | None] = field(default=lambda _: ())
    body_limit: int = BODY_LIMIT_BYTES
    values: int = MAX_VALUES  # JSON values of its body, at most
    # Parameters of the query that may be there several times. None of them decides what a token reaches.
    lists: frozenset[str] = frozenset()
    reads_query: bool = False  # whether the endpoint checks the query itself
    answer: type[Response] | None = None  # class of its answers; None for JSON
    media_type: str = ""  # of its answers, where they are text and no JSON
    body_media_type: str = ""  # of its body, where that is text and no JSON

    @property
    def methods(self) -> tuple[str, ...]:
        """Its HTTP methods."""
        return METHODS if self.method == ANY else (self.method,)

    @property
    def keys(self) -> tuple[str, ...]:
        """``METHOD path`` for each method."""
        return tuple(f"{method} {self.path}" for method in self.methods)


def allows(role: str, needed: str) -> bool:
    """Whether ``role`` reaches ``needed``; unknown words never do."""
    return role in RANK and needed in RANK and RANK[role] >= RANK[needed]

# SPDX-License-Identifier: Apache-2.0
"""What the operations in IoT Central's shape share: a call, versions, ETags, pages, fields of bodies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlencode

from starlette.requests import Request

from armillary.api.http.routes import actor_of, hub_of, operator_of, platform_of, service_of
from armillary.api.http.scope import CheckedCatalog
from armillary.api.iot_hub import call as iot_hub_call
from armillary.engines.documents.document import none_there
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.identity.operator import Operator

if TYPE_CHECKING:
    from armillary.engines.records.schema.rows import Catalog, Token
    from armillary.hub.hub import Hub
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService

T = TypeVar("T")

STABLE: Final = ("1.0", "2022-05-31", "2022-07-31")
PREVIEW: Final = ("2022-06-30-preview", "2022-10-31-preview")
# Entries of one page, as there; ``maxpagesize`` says otherwise.
PAGE: Final = 25
MAX_PAGE: Final = 100
# Query options that would choose or sort: groups do that.
_REFUSED_OPTIONS: Final = ("$filter", "filter", "$orderby", "orderby", "expand", "$expand")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, admitted and read: its head, the values in its path, its decoded JSON body (None without one)."""

    request: Request
    parameters: Mapping[str, str]
    body: Any
    version: str

    @property
    def hub(self) -> Hub:
        """The hub."""
        return hub_of(self.request)

    @property
    def platform(self) -> Platform:
        """The application platform."""
        return platform_of(self.request)

    @property
    def service(self) -> SecurityService:
        """The security service."""
        return service_of(self.request)

    @property
    def operator(self) -> Token:
        """Who asks."""
        return operator_of(self.request)

    @property
    def catalog(self) -> Catalog:
        """The catalog it is about; blocks for the records.

        Raises:
            InvalidArgumentError: the token is for all catalogs, and there are several.
            NotFoundError: the token's catalog is gone.
        """
        return iot_hub_call.catalog_of(self.request)

    @property
    def owner(self) -> CheckedCatalog:
        """The name of that catalog: the token's own, or the only one there is."""
        return CheckedCatalog(self.catalog.name)

    @property
    def if_match(self) -> str | None:
        """The ETag that the caller has seen: the If-Match header, else the body's ``etag``; without quotes.

        Empty with ``If-None-Match: *``: there is to be nothing.
        """
        given, absent = (self.request.headers.get(each) for each in ("if-match", "if-none-match"))
        if absent is not None:
            return none_there(given, absent).strip('"')
        if given is None and isinstance(self.body, Mapping):
            given = self.body.get("etag")
        if not isinstance(given, str) or not given:
            return None
        return given.strip().removeprefix("W/").strip('"')

    @property
    def actor(self) -> Operator:
        """The same as who acts in an operation."""
        return actor_of(self.request)


def check_version(given: str | None, *, preview: bool) -> str:
    """The api-version of a request. Raises InvalidArgumentError unless it is known and has the operation."""
    known = PREVIEW if preview else STABLE + PREVIEW
    if given is None or given not in known:
        raise InvalidArgumentError(
            f"api-version: expected {' or '.join(known[::-1])}, got {(given or 'none')[:40]!a}",
            remedy=f"Send ?api-version={known[-1] if preview else STABLE[-1]}.",
        )
    return given


def quoted(etag: str) -> str:
    """An ETag as bodies show it."""
    return f'"{etag}"'


def match(what: str, if_match: str | None, present: str | None) -> None:
    """Raise ConflictError unless If-Match holds: ``*`` for what exists, "" for what does not; None always holds."""
    if if_match is None or (present is not None and if_match in ("*", present)) or (not if_match and present is None):
        return
    raise ConflictError(
        f"{what[:80]}: expected ETag {present or 'of nothing, as it does not exist'}, got {if_match[:64]!a}",
        remedy="Read it again and apply the change to what it says now.",
        code="request.precondition",
    )


def page_size(call: Call) -> int:
    """Entries of one page. Raises InvalidArgumentError unless that is 1 to MAX_PAGE, and for unknown options."""
    query = call.request.query_params
    for name in _REFUSED_OPTIONS:
        if name in query:
            raise InvalidArgumentError(
                f"{name}: lists are not filtered or sorted here", remedy="Make a device group and list its devices."
            )
    given = query.get("maxpagesize") or query.get("$top") or str(PAGE)
    if not given.isdecimal() or len(given) > 6 or int(given) < 1:
        raise InvalidArgumentError(
            f"maxpagesize: expected 1 to {MAX_PAGE}, got {given[:20]!a}", remedy="Correct the number."
        )
    return min(int(given), MAX_PAGE)


def cursor(call: Call) -> str:
    """Where the page begins: behind this id; empty at the beginning."""
    return call.request.query_params.get("$skipToken", "")[:256]


def paged(call: Call, found: Iterator[T], key: Callable[[T], str], document: Callable[[T], Any]) -> dict[str, Any]:
    """A page of items after the cursor: ``value``, and ``nextLink`` if there are more."""
    size = page_size(call)
    taken: list[T] = []
    for each in found:
        if len(taken) == size:
            return {"value": [document(one) for one in taken], "nextLink": _next_link(call, key(taken[-1]))}
        taken.append(each)
    return {"value": [document(one) for one in taken]}


def paged_list(call: Call, rows: Sequence[T], key: Callable[[T], str], document: Callable[[T], Any]) -> dict[str, Any]:
    """A page of a whole list, by key."""
    after = cursor(call)
    ordered = sorted(rows, key=key)
    return paged(call, (each for each in ordered if key(each) > after), key, document)


def body_object(call: Call) -> dict[str, Any]:
    """The body, which must be a JSON object. Raises InvalidArgumentError if it is not one."""
    return iot_hub_call.body_object(call.body)


def field(
    body: Mapping[str, Any], name: str, kind: type[T], *, default: T | None = None, needed: bool = False
) -> T | None:
    """A field of a body, of one kind; ``default`` where it is missing or null.

    Raises:
        InvalidArgumentError: it is of another kind, or missing though needed.
    """
    value = body.get(name)
    if value is None and not needed:
        return default
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise wrong(name, _WORDS.get(kind, kind.__name__), value)
    return value


def check_fields(what: str, body: Mapping[str, Any], fields: Sequence[str], further: Collection[str] = ()) -> None:
    """Raise InvalidArgumentError where a body has other fields; ``further`` are taken, but the error names none."""
    unknown = sorted(set(body) - {*fields, *further})
    if unknown:
        raise InvalidArgumentError(
            f"{what}: expected only {', '.join(fields)}, got {', '.join(unknown)[:80]}", remedy="Correct it."
        )


def check_id(body: Mapping[str, Any], given: str) -> None:
    """Raise InvalidArgumentError where a body has another ``id`` than the path."""
    if body.get("id") not in (None, given):
        raise wrong("id", "that of the address", body["id"])


def wrong(name: str, expected: str, got: object) -> InvalidArgumentError:
    """The error for a field with a wrong value."""
    shown = "nothing" if got is None else f"{got!a:.60}"
    return InvalidArgumentError(f"{name}: expected {expected}, got {shown}", remedy="Correct the body.")


_WORDS: Final[Mapping[type, str]] = {
    str: "text",
    bool: "true or false",
    dict: "an object",
    list: "a list",
    int: "a number",
}


def _next_link(call: Call, after: str) -> str:
    url = call.request.url
    kept = [(name, value) for name, value in call.request.query_params.multi_items() if name != "$skipToken"]
    return f"{url.scheme}://{url.netloc}{url.path}?{urlencode([*kept, ('$skipToken', after)])}"

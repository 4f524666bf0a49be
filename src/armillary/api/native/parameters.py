# SPDX-License-Identifier: Apache-2.0
"""What native routes share: their root, and the types of their paths, queries, headers and bodies."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Final, NamedTuple

from fastapi import Body, Depends, Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field, ValidatorFunctionWrapHandler, field_validator

from armillary.api.http.scope import CheckedCatalog, checked_catalog, checked_filter
from armillary.api.views.service import PAGE_ROWS
from armillary.engines.documents.document import ID_PATTERN, none_there
from armillary.engines.records.ordered import MAX_CURSOR_CHARACTERS, MAX_SORTED
from armillary.service.context.paging import NUMBER_PATTERN
from armillary.service.registry.names import CATALOG_PATTERN

V1: Final = "/api/v1"
DEVICE: Final = V1 + "/devices/{device_id}"
CATALOG: Final = V1 + "/catalogs/{catalog}"


class StrictBody(BaseModel):
    """A body that has no other fields: a misspelt one must not silently do nothing. Nor is ``true`` a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @field_validator("*", mode="wrap")
    @classmethod
    def _no_number_of_a_truth_value(cls, value: Any, validated: ValidatorFunctionWrapHandler) -> Any:
        found = validated(value)
        if isinstance(value, bool) and not isinstance(found, bool):
            raise ValueError(f"expected a number, got {str(value).lower()}")  # noqa: TRY004 - pydantic's own error
        return found


# -- lists ------------------------------------------------------------------------------------------------------------

# 1 to 1,000 rows; service/context/paging.py holds the limit for everybody.
Limit = Annotated[int, Query(ge=1, le=1000)]
After = Annotated[str | None, Query(max_length=200, description="`next` of the page before")]
# A cursor of a list that may be sorted, which holds the value of its last row; else an id, or the number of a row.
SortedAfter = Annotated[str | None, Query(max_length=MAX_CURSOR_CHARACTERS, description="`next` of the page before")]
SortedNumberAfter = Annotated[
    str | None,
    Query(
        max_length=MAX_CURSOR_CHARACTERS,
        description="`next` of the page before",
        json_schema_extra={"pattern": rf"{NUMBER_PATTERN}|^\[.*\]$"},
    ),
]
# A cursor of a list that is newest first: the number of a row. What is wrong with one is said where it is read.
NumberAfter = Annotated[
    str | None,
    Query(max_length=200, description="`next` of the page before", json_schema_extra={"pattern": NUMBER_PATTERN}),
]
Text = Annotated[str | None, Query(max_length=64)]
# Unix milliseconds in a body; in a query they are Millis.
MillisField = Annotated[int, Field(ge=0, le=10**14)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
FeedName = Annotated[str, Field(min_length=1, max_length=16)]

# -- catalogs ---------------------------------------------------------------------------------------------------------

CatalogPath = Annotated[str, Path(description="Name of a catalog", json_schema_extra={"pattern": CATALOG_PATTERN})]
CatalogQuery = Annotated[CheckedCatalog | None, Depends(checked_catalog)]
CatalogFilter = Annotated[CheckedCatalog | None, Depends(checked_filter)]

# -- documents of authors ---------------------------------------------------------------------------------------------

DocumentPath = Annotated[
    str, Path(min_length=1, max_length=128, description="Id: a-z 0-9 . _ -", json_schema_extra={"pattern": ID_PATTERN})
]
DocumentBody = Annotated[dict[str, Any], Body()]
Force = Annotated[bool, Query(description="Delete it although something uses it")]
# A device template of 300 capabilities in several languages, and its components' models.
TEMPLATE_BODY_LIMIT_BYTES: Final = 1 << 20
# A model in DTDL says a short thing a value.
TEMPLATE_VALUES: Final = 60_000


def precondition(
    if_match: Annotated[str | None, Header(max_length=64)] = None,
    if_none_match: Annotated[str | None, Header(max_length=64)] = None,
) -> str | None:
    """What a change presupposes, as an If-Match: the version that was seen, or the ETag of nothing.

    Raises:
        InvalidArgumentError: both headers, or an If-None-Match that is not ``*`` (RFC 9110 §13.1.2).
    """
    if if_none_match is None:
        return if_match
    return none_there(if_match, if_none_match)


def sort_query(orders: Collection[str]) -> Any:
    """The parameter of a list that is sorted over all its pages by one of ``orders``."""
    return Query(
        max_length=32,
        description=f"An order over all pages, where at most {MAX_SORTED:,} rows match; - before it: falling",
        json_schema_extra={"enum": [sign + each for each in orders for sign in ("", "-")]},
    )


# A list of documents by what people call them.
Search = Annotated[
    str | None,
    Query(max_length=128, description="Text in the name or id, in upper or lower case; nothing in it is a wildcard"),
]
IfMatch = Annotated[str | None, Depends(precondition)]


class NumberPage(NamedTuple):
    """A part of a list that is newest first: so many rows after a cursor."""

    limit: int
    after: str | None


async def number_page(limit: Limit = PAGE_ROWS, after: NumberAfter = None) -> NumberPage:
    """The parameters of such a list (a FastAPI dependency)."""
    return NumberPage(limit, after)


class Page(NamedTuple):
    """A part of a list of a catalog's documents, or of everybody's: so many rows after a cursor."""

    catalog: CheckedCatalog | None
    limit: int
    after: str | None


async def page(catalog: CatalogQuery = None, limit: Limit = PAGE_ROWS, after: After = None) -> Page:
    """The parameters of such a list (a FastAPI dependency)."""
    return Page(catalog, limit, after)


class DocumentChange(NamedTuple):
    """Of which catalog a document is that is to be changed, and which version of it the caller has seen."""

    catalog: CheckedCatalog | None
    if_match: str | None


async def document_change(catalog: CatalogQuery = None, if_match: IfMatch = None) -> DocumentChange:
    """The parameters of a change besides the document (a FastAPI dependency)."""
    return DocumentChange(catalog, if_match)


NewestPage = Annotated[NumberPage, Depends(number_page)]
CatalogPage = Annotated[Page, Depends(page)]
Change = Annotated[DocumentChange, Depends(document_change)]

# -- values over time -------------------------------------------------------------------------------------------------

# An idle stream says so at this rate: proxies keep it open, and a revoked token ends it within this time.
HEARTBEAT_S: Final = 15.0
MAX_METRIC_CHARS: Final = 256
Millis = Annotated[int, Query(ge=0, le=10**14)]

# SPDX-License-Identifier: Apache-2.0
"""Symbols that a catalog's people uploaded for builds of their applications: they give the places of crashes names."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.detect.crashes import Resolve
from armillary.engines.records.crashes import symbols as symbol_rows
from armillary.engines.records.crashes.symbols import SymbolRow
from armillary.errors import ConflictError, NotFoundError
from armillary.service.context.context import Context
from armillary.service.registry.names import catalog_or_raise
from armillary.wire.image import symbol_list
from armillary.wire.image.symbol_list import SymbolList

# Lists of a catalog: some builds of some applications and their libraries, at about 200 kB each.
MAX_LISTS: Final = 500
# Lists that stay parsed: crashes come in bursts of the same build. One of 100,000 functions takes 20 MB.
MAX_PARSED: Final = 2


class Symbols:
    """Keeps lists of symbols and looks places up in them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._parsed: OrderedDict[tuple[UUID, str, int], SymbolList] = OrderedDict()

    def put(self, catalog: str, data: bytes, *, actor: str) -> SymbolRow:
        """Keep a list of symbols, in the place of one of the same build id.

        Raises:
            WireError: it is not of the form in ``wire/image/symbol_list.py``.
            ConflictError: the catalog has as many as it may.
        """
        symbols = symbol_list.parse(data)
        packed = zlib.compress(symbol_list.encode(symbols))

        def change(connection: Connection) -> SymbolRow:
            catalog_id = catalog_or_raise(connection, catalog).catalog_id
            row = SymbolRow(
                catalog_id=catalog_id,
                build_id=symbols.build_id.hex(),
                machine=symbols.machine,
                functions=len(symbols.functions),
                uploaded_at=self._context.now(),
                uploaded_by=actor,
            )
            symbol_rows.put(connection, row, packed)
            if symbol_rows.count_of(connection, catalog_id) > MAX_LISTS:
                raise ConflictError(
                    f"catalog {catalog!r} has symbols of {MAX_LISTS} builds",
                    remedy="Remove those of builds that no device has: armillary crash symbols remove.",
                )
            self._context.audit(
                connection, actor, "symbols.put", row.build_id, {"catalog": catalog, "functions": row.functions}
            )
            return row

        return self._context.records.write(change)

    def list(self, catalog: str) -> tuple[SymbolRow, ...]:
        """What a catalog has, the newest first."""
        return self._context.records.read(lambda c: symbol_rows.every_of(c, catalog_or_raise(c, catalog).catalog_id))

    def remove(self, catalog: str, build_id: str, *, actor: str) -> None:
        """Remove the symbols of a build id; groups that were made with them stay. Raises NotFoundError."""

        def change(connection: Connection) -> None:
            if not symbol_rows.remove(connection, catalog_or_raise(connection, catalog).catalog_id, build_id.lower()):
                raise NotFoundError(
                    f"catalog {catalog!r} has no symbols of build id {build_id:.40}",
                    remedy="List them: armillary crash symbols list.",
                )
            self._context.audit(connection, actor, "symbols.remove", build_id.lower(), {"catalog": catalog})

        self._context.records.write(change)

    def resolver(self, connection: Connection, catalog_id: UUID) -> Resolve:
        """What finds a function by build id and offset among the symbols of a catalog."""

        def resolve(build_id: bytes, offset: int) -> str:
            found = self._symbols_of(connection, catalog_id, build_id.hex())
            return "" if found is None else found.name_at(offset)

        return resolve

    def _symbols_of(self, connection: Connection, catalog_id: UUID, build_id: str) -> SymbolList | None:
        packed = symbol_rows.contents(connection, catalog_id, build_id)
        if packed is None:
            return None
        key = (catalog_id, build_id, zlib.crc32(packed))
        found = self._parsed.pop(key, None) or symbol_list.parse(zlib.decompress(packed))
        self._parsed[key] = found
        while len(self._parsed) > MAX_PARSED:
            self._parsed.popitem(last=False)
        return found

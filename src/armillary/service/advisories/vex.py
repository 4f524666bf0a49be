# SPDX-License-Identifier: Apache-2.0
"""Takes VEX statements out of bundles: an import replaces all of its feed's. Whose key signed the bundle says them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from typing import Any, Final

from armillary.engines.records.advisories import feeds as feed_rows
from armillary.engines.records.schema.advisory_rows import FeedEdition
from armillary.errors import WireError
from armillary.service.context.context import Context
from armillary.wire.advisory.vex import UnverifiedStatement
from armillary.wire.advisory.vex_document import read_vex

# Rows of one commit.
STEP: Final = 500
# Rows of one import: a vulnerability in a product, and in each part of it that is named.
MAX_ROWS: Final = 500_000
MAX_ID_CHARACTERS: Final = 128


def take_documents(context: Context, kind: str, lines: Iterator[bytes], made: FeedEdition) -> int:
    """Record the statements of documents, one a record; how many documents could not be read.

    Raises:
        WireError: they have more statements than are kept.
    """
    held = context.records.read(lambda c: feed_rows.open_statements(c, made.feed, made.edition))
    refused, kept, fresh = 0, set[bytes](), dict[bytes, dict[str, Any]]()
    for line in lines:
        try:
            statements = read_vex(line)
        except WireError:
            refused += 1
            continue
        for row in (row for each in statements for row in _rows(each)):
            digest = sha256(json.dumps(row, sort_keys=True).encode()).digest()
            kept.add(digest)
            if digest not in held and digest not in fresh:
                fresh[digest] = {**row, "feed": made.feed, "digest": digest, "from_edition": made.edition}
        if len(kept) > MAX_ROWS:
            raise WireError("feed-bundle", expected=f"at most {MAX_ROWS} statements", got=f"more, of kind {kind}")
    added = list(fresh.values())
    for start in range(0, len(added), STEP):
        context.records.write(partial(feed_rows.add_statements, rows=added[start : start + STEP]))
    ended = [number for digest, number in held.items() if digest not in kept]
    for start in range(0, len(ended), STEP):
        gone = ended[start : start + STEP]
        context.records.write(partial(feed_rows.end_statements, numbers=gone, edition=made.edition))
    return refused


def _rows(said: UnverifiedStatement) -> Iterator[dict[str, Any]]:
    """A row for each name of the vulnerability, name of a product and part of it."""
    for name in dict.fromkeys(said.names):
        if len(name) > MAX_ID_CHARACTERS:
            continue
        for product in said.products:
            for known_as in product.ids:
                for part in product.components or ("",):
                    yield {
                        "vulnerability": name,
                        "product": known_as,
                        "component": part,
                        "state": said.status.value,
                        "justification": said.justification or said.reason[:512],
                        "author": said.author[:256],
                        "stated_at": said.said,
                    }

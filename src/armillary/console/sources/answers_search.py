# SPDX-License-Identifier: Apache-2.0
"""The answer to a search over everything."""

from __future__ import annotations

from collections.abc import Sequence

from armillary.api.views import search as views
from armillary.console.sources.request_context import RequestContext
from armillary.console.sources.signed_in import Document


def search(by: RequestContext, text: str, kinds: Sequence[str], limit: int) -> Document:
    """What has a name or id that a text means, of some kinds or of all that the operator may see."""
    return views.search(by.service, by.platform, by.operator, text, catalog=by.catalog, kinds=kinds, limit=limit)

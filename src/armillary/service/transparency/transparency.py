# SPDX-License-Identifier: Apache-2.0
"""The transparency logs of a service with their witnesses."""

from __future__ import annotations

from collections.abc import Callable

from armillary.service.authority.key_store import KeyStore
from armillary.service.context.context import Context
from armillary.service.transparency.logs import TransparencyLogs
from armillary.service.transparency.witnesses import Witnesses


class Transparency:
    """Both parts; arguments as :class:`TransparencyLogs` takes them."""

    def __init__(self, context: Context, keys: KeyStore, drain: Callable[[], object]) -> None:
        self.logs = TransparencyLogs(context, keys, drain)
        self.witnesses = Witnesses(context, self.logs)

# SPDX-License-Identifier: Apache-2.0
"""Rows of the console's tables: an address, what answers there, and the change that one has to be allowed.

``application.py`` has the tables; a room with many pages has its own rows in ``routes.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.responses import Response

from armillary.console.frame.action_checks import Form
from armillary.console.frame.console import Visit

Reader = Callable[[Visit], Response]
Changer = Callable[[Visit, Form], Response]
Taker = Callable[[Visit, Form, Mapping[str, bytes]], Response]
# A question's name or a document's kind (``permissions.route_of``); a function where the address says which.
Change = str | Callable[[Visit], str]

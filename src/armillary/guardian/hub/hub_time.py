# SPDX-License-Identifier: Apache-2.0
"""What time it is, by an authenticated source: the Date of an HTTPS answer of the hub, over the device's certificate.

The guardian may not set a clock; it compares (``guard/clock.py``) and says how far its times can be relied on.
Source: RFC 9110 §6.6.1, whole seconds.
"""

from __future__ import annotations

import http.client
import ssl
from email.utils import parsedate_to_datetime

TIMEOUT_S = 5.0
# The Date says whole seconds that have passed, and the answer took a while: on average so much later.
HALF_SECOND = 0.5


def hub_time(host: str, port: int, context: ssl.SSLContext) -> float:
    """The hub's time now, Unix seconds, within a second or so. Blocks: call it in a thread.

    Raises:
        OSError: the hub does not answer, or not with a time.
    """
    connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
    try:
        connection.request("GET", "/")
        said = connection.getresponse().getheader("date") or ""
        return parsedate_to_datetime(said).timestamp() + HALF_SECOND
    except (http.client.HTTPException, ValueError, TypeError) as error:
        raise OSError(f"the hub told no time: {error!s:.100}") from error
    finally:
        connection.close()

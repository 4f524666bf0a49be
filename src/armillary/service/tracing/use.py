# SPDX-License-Identifier: Apache-2.0
"""One use of a key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Use:
    """What a key signed, or who presents the certificate.

    Attributes:
        what: ``release``, ``image``, ``trust store``, ``certificate``, ``device``, ``catalog`` or ``revocation list``.
        name: Which one, for people.
        record: Its id.
        at: When it was signed, made or enrolled, Unix seconds.
        by: Whose operation it was, as the audit log names who acts; empty where no line is kept of it.
    """

    what: str
    name: str
    record: str
    at: int
    by: str = ""

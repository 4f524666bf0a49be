# SPDX-License-Identifier: Apache-2.0
"""What the queue of a guardian (``queue.py``) is made of: file, groups of a commit, lanes, room, reserve.

Not here: what goes when there is no room (``armillary.guard.retention``), who takes and acknowledges
(``armillary.guardian.hub``).

Specification: ``docs/concepts/guardian.md`` (when there is no connection); SQLite's write-ahead log.
"""

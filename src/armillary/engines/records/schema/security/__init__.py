# SPDX-License-Identifier: Apache-2.0
"""Tables and rows of what the service does about what it sees: notifications, and what else of this kind is kept.

Not here: findings (``schema.py``), crashes and advisories (``crash_tables.py``, ``advisory_tables.py``).
"""

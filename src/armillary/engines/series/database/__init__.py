# SPDX-License-Identifier: Apache-2.0
"""Where the series and the hub's rows are stored: SQLite or PostgreSQL; schema, migrations, the folder's lock.

Not here: how values are packed (``engines/series/values``).
"""

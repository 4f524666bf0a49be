# SPDX-License-Identifier: Apache-2.0
"""The records: everything the security service must not forget, in one relational database and one folder of images.

It holds the schema, every SQL statement of the service, the single writer with group commit, the data folder's
format and lock. It decides nothing: rules live in ``attest``, ``identity`` and ``rollout``, operations in ``service``.
It never hands out a connection, a statement or an ORM object, only the frozen values of
``engines/records/schema/rows.py``.

Specification: ``docs/reference/records.md``. SQLite (WAL, ``synchronous=FULL``) is the embedded engine; the statements
are portable SQL, and what is SQLite's own stands in ``engines/records/schema/dialect.py`` alone.
"""

# SPDX-License-Identifier: Apache-2.0
"""The records: the data of the security service, in one relational database and one folder of images.

What it is: the schema, every SQL statement of the service, the single writer with group commit, the data folder's
format and lock. What it is not: rules, which are in ``attest``, ``identity`` and ``rollout``, or operations
(``service``). It returns only the frozen values of ``engines/records/schema/rows.py``, never a connection, a statement
or an ORM object.

Specification: ``docs/reference/records.md``. SQLite (WAL, ``synchronous=FULL``) is the embedded engine; the statements
are portable SQL, and all that is particular to SQLite is in ``engines/records/schema/dialect.py``.
"""

# SPDX-License-Identifier: Apache-2.0
"""Alembic's migrations of the records. One file per change of ``schema.py``, never edited after a release.

What it is not: imported by the service; ``engines/records/migrate.py`` runs it in a process of its own.
Specification: ``docs/reference/records.md``.
"""

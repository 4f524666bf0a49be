# SPDX-License-Identifier: Apache-2.0
"""Databases: their port, SQLite files, transactions, group commit, stores opened on demand, outboxes of audit entries.

Not here: any table but that of audit entries. Specification: ``port.py`` for what a database has to offer.
"""

# SPDX-License-Identifier: Apache-2.0
"""Databases: the port that stores use, SQLite files, transactions, group commit, stores that are opened on demand.

Not here: any table. Specification: ``port.py`` for what a database has to offer.
"""

# SPDX-License-Identifier: Apache-2.0
"""What every store stands on: the port of a database, group commit, a small SQLite file.

Not here: any table. Specification: ``port.py`` for what a database has to offer.
"""

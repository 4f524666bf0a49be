# SPDX-License-Identifier: Apache-2.0
"""The series store's second engine: a PostgreSQL database, through psycopg 3 (the extra ``postgresql``).

``target.py`` reads the URL, ``dialect.py`` turns SQL and tables into PostgreSQL's, ``session.py`` is a connection that
comes back, ``database.py`` opens, makes, locks. Nothing here is imported unless ``series_database`` is set.
"""

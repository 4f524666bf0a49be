# SPDX-License-Identifier: Apache-2.0
"""The service's records: tables, the values that rows are read into, and what differs between dialects.

Not here: queries. A change of a table is a migration in ``engines/records/migrations``.
"""

# SPDX-License-Identifier: Apache-2.0
"""The service's records, read and written: one module a noun, with all of its SQL.

Not here: the tables (``engines/records/schema``) and who may do it (``armillary.service``).
"""

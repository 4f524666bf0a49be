# SPDX-License-Identifier: Apache-2.0
"""Transparency logs in the records: the hashes of their trees, their checkpoints and witnesses, the release log.

Not here: the audit log's lines (``armillary.engines.records.queries.audit``), the formats
(``armillary.wire.transparency``).
Specification: RFC 9162 §2.1, C2SP tlog-tiles.
"""

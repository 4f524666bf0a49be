# SPDX-License-Identifier: Apache-2.0
"""What a stranger reads and writes who found a vulnerability: ``security.txt`` (RFC 9116), and a report.

Not here: what becomes of a report (``regulation/vulnerability_report.py``, ``service/disclosure``).
Specification: ``docs/guides/vulnerability-reports.md``.
"""

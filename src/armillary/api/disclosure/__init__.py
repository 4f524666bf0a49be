# SPDX-License-Identifier: Apache-2.0
"""What strangers reach without a token: ``security.txt`` (RFC 9116) and the page on which a vulnerability is reported.

Not here: the inbox of reports, which is operators' (``api/native/security/vulnerability_reports.py``), and the route
that takes reports as JSON (there, too). Specification: ``docs/guides/vulnerability-reports.md``.
"""

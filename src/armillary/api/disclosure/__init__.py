# SPDX-License-Identifier: Apache-2.0
"""What strangers reach without a token: ``security.txt`` (RFC 9116) and the page on which a vulnerability is reported.

Not here: the inbox of reports, which is operators', and the route that takes reports as JSON: both are in
``api/native/security/disclosure.py``. Specification: ``docs/guides/vulnerability-reports.md``.
"""

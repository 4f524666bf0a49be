# SPDX-License-Identifier: Apache-2.0
"""X.509 profiles, revocation lists, trust anchors.

Not here: who issues (``armillary.identity``, ``armillary.service.authority.authority``). Specification: RFC 5280.
"""

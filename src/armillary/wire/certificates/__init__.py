# SPDX-License-Identifier: Apache-2.0
"""X.509 certificates, revocation lists and trust anchors in Armillary's profiles.

Not here: who issues them (``armillary.identity``, ``armillary.service.authority``). Specification: RFC 5280.
"""

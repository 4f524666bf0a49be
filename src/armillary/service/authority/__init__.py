# SPDX-License-Identifier: Apache-2.0
"""Certificate authorities: their keys, certificates, renewals and revocation lists.

Not here: certificate profiles (``armillary.identity``). Specification: ``docs/concepts/pki.md``, RFC 5280.
"""

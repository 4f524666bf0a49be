# SPDX-License-Identifier: Apache-2.0
"""Certificate authorities: made, renewed, taken over, revoked.

Not here: certificate profiles (``armillary.identity``). Specification: ``docs/concepts/pki.md``, RFC 5280.
"""

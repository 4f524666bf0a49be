# SPDX-License-Identifier: Apache-2.0
"""Device templates: listed, edited as drafts, published.

Not here: DTDL (``armillary.wire.dtdl``). Specification: ``docs/guides/operate.md``.
"""

# SPDX-License-Identifier: Apache-2.0
"""Who owns what, who may act, what was done: catalogs to devices, tokens, transfers, the audit log.

Not here: what a device runs (``service/updates``).
"""

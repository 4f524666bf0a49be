# SPDX-License-Identifier: Apache-2.0
"""Catalogs, products, device groups and devices; access tokens; transfers of devices; the audit log.

Not here: what a device runs (``service/updates``).
"""

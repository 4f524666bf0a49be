# SPDX-License-Identifier: Apache-2.0
"""Queries about bridged devices: what catalogs admit, devices, artifacts, actions and what was said of them.

Not here: tables and rows (``engines/records/schema``), decisions (``armillary.service.bridge``). Specification:
``docs/guides/move-from-hawkbit.md``.
"""

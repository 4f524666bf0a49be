# SPDX-License-Identifier: Apache-2.0
"""What is answered about notifications, disclosure, products, traces and the seven properties, as JSON documents.

Not here: advisories, cases and crashes, which stand a room higher. Specification: ``docs/reference/api.md``.
"""

# SPDX-License-Identifier: Apache-2.0
"""What is answered about notifications, and about what else the service does for security, as JSON documents.

Not here: advisories, crashes and traces, which stand a room higher. Specification: ``docs/reference/api.md``.
"""

# SPDX-License-Identifier: Apache-2.0
"""What is answered: rows and values of the service, the hub and templates as JSON-able documents.

Not here: routes, permissions and changes. A view takes values and returns a document.
Specification: ``docs/reference/api.md``.
"""

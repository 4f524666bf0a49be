# SPDX-License-Identifier: Apache-2.0
"""Image packages and their contents: file system, manifests, hardware definitions, capability files.

Specification: Azure Sphere's public documentation and tools; byte compatible (``docs/reference/image-package.md``).
"""

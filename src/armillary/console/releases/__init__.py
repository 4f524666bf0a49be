# SPDX-License-Identifier: Apache-2.0
"""Pages of what devices install: OS releases and drafts, images, bills of materials, keys.

Not here: how it reaches devices (``console/operations``). Specification: ``docs/guides/update-a-fleet.md``.
"""

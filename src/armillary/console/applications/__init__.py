# SPDX-License-Identifier: Apache-2.0
"""The gallery of applications that are shipped: a picture of each, what is in it, and its use in a chosen catalog.

Not here: what makes an application of a template (``sim/templates/``). Specification: ``docs/guides/templates.md``.
"""

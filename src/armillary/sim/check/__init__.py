# SPDX-License-Identifier: Apache-2.0
"""Checks of all shipped content: chips, applications and application templates, against what they are made for.

Not here: the content. ``python -m armillary.sim.check`` runs them.
"""

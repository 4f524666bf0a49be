# SPDX-License-Identifier: Apache-2.0
"""Application templates, played: signals, behaviour, simulated devices. Each value they send is made up.

Not here: the templates (``armillary.content``).
"""

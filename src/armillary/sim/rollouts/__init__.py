# SPDX-License-Identifier: Apache-2.0
"""A roll-out that is played by the real plan to a fleet whose devices crash: how soon a worse release is held.

Not here: roll-outs over the real service (``bench/rollout_plan.py``), nor attacks (``armillary.sim.attacks``).
Everything follows from a seed. SPECIFICATION.md, chapter 11.
"""

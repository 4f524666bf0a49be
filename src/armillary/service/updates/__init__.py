# SPDX-License-Identifier: Apache-2.0
"""What devices run: images, deployments, offers, roll-outs and their planner.

Not here: the rules of a roll-out (``armillary.rollout``).
"""

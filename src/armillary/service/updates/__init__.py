# SPDX-License-Identifier: Apache-2.0
"""Updates as operators see them: which images a device group runs, and how devices come to be offered them.

Images are uploaded, deployments assign images to a device group, roll-outs assign them cohort by cohort.

Not here: when a roll-out advances (rules: ``armillary.rollout``); the installation on a device, which "update" means in
``armillary.update``; the jobs of the application platform that move devices to another group's deployment
(``service/hub_access/updates.py``). Specification: ``docs/concepts/rollouts.md``, ``docs/concepts/segments.md``.
"""

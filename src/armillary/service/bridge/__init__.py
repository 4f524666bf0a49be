# SPDX-License-Identifier: Apache-2.0
"""The bridge for fleets of hawkBit: bridged devices, how they authenticate, their artifacts and their actions.

A bridged device speaks hawkBit's DDI and attests nothing: its trust tier is ``unattested``, it gets no certificate of
ours and may not check in. It is a device of a device group; deployments and roll-outs of the group decide what it is
offered, and how its actions end is heard where outcomes of all devices are.

Not here: formats and the states of an action (``armillary.wire.hawkbit``), what a device is to do next
(``armillary.rollout.bridge``), routes (``armillary.api.hawkbit``). Specification: ``docs/guides/move-from-hawkbit.md``.
"""

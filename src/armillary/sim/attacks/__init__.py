# SPDX-License-Identifier: Apache-2.0
"""A fleet with attacks of known time and place: what a detector finds of them, and how often it cries wolf.

Not here: attacks on the protocol (``armillary.sim.device``). Everything follows from a seed. It is a model, and its
honest devices are as odd as we know devices to be: quality on it compares detectors, and promises nothing for a field.
"""

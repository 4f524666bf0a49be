# SPDX-License-Identifier: Apache-2.0
"""The application platform's documents and decisions: twins, device templates, rules, and what authors write.

Pure functions over frozen values; nothing here reads a clock. Not here: storage (``engines``), transport (``hub``), and
what the documents cause (``platform``). Specification: the public descriptions of IoT Hub's twins and of IoT Central.
"""

# SPDX-License-Identifier: Apache-2.0
"""What every part of the service is given: records, settings, clock, notices, chip profiles, blobs, cached answers.

Not here: anything that has operations of its own.
"""

# SPDX-License-Identifier: Apache-2.0
"""What every part of the service is handed: records, settings, clock, notices, chips, blobs, a cache of answers.

Not here: any noun of the service.
"""

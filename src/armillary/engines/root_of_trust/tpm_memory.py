# SPDX-License-Identifier: Apache-2.0
"""The NV memory of a TPM, as far as a device uses it: a counter, some bytes, and what its maker put there.

Specification: TCG TPM 2.0 Library, Part 3 §31 (non-volatile storage).
"""

from __future__ import annotations

from typing import Any, Final

from armillary.errors import RootOfTrustError
from armillary.wire.attestation.tpm_public import ALG_SHA256

# Owner-defined NV indices (TCG registry of reserved handles): a device takes the first free one for its boot counter.
# The one as many further on is for its anti-rollback minimums, the one behind that for whom it trusts: no file has to
# say where they are, so none can hide them. A fourth one says whose a counter is that was made without saying it.
FIRST_INDEX: Final = 0x0180_4100
INDICES: Final = 64
COUNTER_BYTES: Final = 8

_CHUNK_BYTES: Final = 512  # every TPM reads at least this much NV at once
_KIND_MASK: Final = 0xF  # of TPMA_NV, TCG TPM 2.0 Library, Part 2 §13.4
_NV_DEFINED: Final = 0x14C  # TPM_RC_NV_DEFINED
_NV_UNINITIALIZED: Final = 0x14A  # a counter that was never incremented


def is_counter_index(index: int) -> bool:
    """Whether a boot counter can be there."""
    return FIRST_INDEX <= index < FIRST_INDEX + INDICES


def bytes_of(counter: int) -> int:
    """The index of bytes that goes with a device's counter."""
    return counter + INDICES


def trust_of(counter: int) -> int:
    """The index that keeps whom the device with this counter trusts (``tpm_trust.py``)."""
    return counter + 2 * INDICES


def owner_of(counter: int) -> int:
    """The index that says whose a counter is that was made before owners were noted; its first user writes it."""
    return counter + 3 * INDICES


class NvMemory:
    """Indices of one TPM, over the connection of ``tpm_commands.connect``."""

    def __init__(self, pytss: Any, esapi: Any) -> None:
        self._pytss, self._esapi = pytss, esapi

    def define_counter(self, owner: bytes) -> int:
        """Make a monotonic counter of an owner (32 bytes, :meth:`owner`); returns its NV index.

        RootOfTrustError if all that are looked at are taken.
        """
        for index in range(FIRST_INDEX, FIRST_INDEX + INDICES):
            if self._define(index, self._pytss.TPM2_NT.COUNTER, COUNTER_BYTES, owner):
                return index
        raise RootOfTrustError(
            f"the TPM has {INDICES} counters of devices already",
            remedy=f"Remove those of devices that are gone: tpm2_nvundefine {FIRST_INDEX:#x}.",
        )

    def owner(self, counter: int) -> bytes | None:
        """Whose a counter is; None where the index is no counter: one of bytes can be as long.

        It stands where a policy of the index would: none of ours has a policy, and nothing changes it but to delete the
        index, which no disk does. Empty for one that was made before owners were noted, until :func:`owner_of` has it.
        """
        public = self._public(counter)
        if int(public.attributes) >> int(self._pytss.TPMA_NV.TPM2_NT_SHIFT) & _KIND_MASK != self._pytss.TPM2_NT.COUNTER:
            return None
        owner = bytes(public.authPolicy)
        return owner if owner or not self.exists(owner_of(counter)) else self.stored(owner_of(counter))

    def owners(self) -> list[bytes | None]:
        """Whose the boot counters of this TPM are."""
        _, found = self._esapi.get_capability(self._pytss.TPM2_CAP.HANDLES, FIRST_INDEX, INDICES)
        return [self.owner(int(index)) for index in found.data.handles if is_counter_index(int(index))]

    def is_written(self, index: int) -> bool:
        """Whether there is an index that was ever written or counted."""
        return self.exists(index) and bool(int(self._public(index).attributes) & int(self._pytss.TPMA_NV.WRITTEN))

    def define_bytes(self, index: int, size: int) -> None:
        """Make an index of ``size`` bytes; what a device that is gone left there goes."""
        if not self._define(index, self._pytss.TPM2_NT.ORDINARY, size):
            self.remove(index)
            self._define(index, self._pytss.TPM2_NT.ORDINARY, size)

    def stored(self, index: int) -> bytes:
        """The bytes of an index; empty where none were written yet."""
        try:
            return self.read(index)
        except self._pytss.TSS2_Exception as error:
            if error.rc == _NV_UNINITIALIZED:
                return b""
            raise

    def store(self, index: int, data: bytes) -> None:
        """Write all bytes of an index."""
        self._esapi.nv_write(self._esapi.tr_from_tpmpublic(index), data)

    def count(self, index: int) -> int:
        """Increment a counter; returns its new value. It never falls, not even when it is deleted and defined again."""
        self._esapi.nv_increment(self._esapi.tr_from_tpmpublic(index))
        return self.counter(index)

    def counter(self, index: int) -> int:
        """A counter's value; 0 before the first increment."""
        try:
            value = self._esapi.nv_read(self._esapi.tr_from_tpmpublic(index), COUNTER_BYTES)
        except self._pytss.TSS2_Exception as error:
            if error.rc == _NV_UNINITIALIZED:
                return 0
            raise
        return int.from_bytes(bytes(value), "big")

    def remove(self, index: int) -> None:
        """Delete a counter, or an index of bytes."""
        self._esapi.nv_undefine_space(self._esapi.tr_from_tpmpublic(index))

    def exists(self, index: int) -> bool:
        """Whether there is an index."""
        more, found = self._esapi.get_capability(self._pytss.TPM2_CAP.HANDLES, index, 1)
        del more
        return index in [int(handle) for handle in found.data.handles]

    def read(self, index: int) -> bytes:
        """All bytes of an index."""
        handle = self._esapi.tr_from_tpmpublic(index)
        size = int(self._public(index).dataSize)
        return b"".join(
            bytes(self._esapi.nv_read(handle, min(_CHUNK_BYTES, size - offset), offset))
            for offset in range(0, size, _CHUNK_BYTES)
        )

    def _public(self, index: int) -> Any:
        """What the TPM says of an index."""
        return self._esapi.nv_read_public(self._esapi.tr_from_tpmpublic(index))[0].nvPublic

    def _define(self, index: int, kind: Any, size: int, owner: bytes = b"") -> bool:
        """Make an index; False if it is taken."""
        pytss = self._pytss
        attributes = pytss.TPMA_NV.AUTHREAD | pytss.TPMA_NV.AUTHWRITE | pytss.TPMA_NV.NO_DA
        attributes |= kind << pytss.TPMA_NV.TPM2_NT_SHIFT
        public = pytss.TPMS_NV_PUBLIC(
            nvIndex=index, nameAlg=ALG_SHA256, attributes=attributes, authPolicy=owner, dataSize=size
        )
        try:
            self._esapi.nv_define_space(None, pytss.TPM2B_NV_PUBLIC(public))
        except pytss.TSS2_Exception as error:
            if error.rc != _NV_DEFINED:
                raise
            return False
        return True

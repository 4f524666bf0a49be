# SPDX-License-Identifier: Apache-2.0
"""Every error that Armillary raises on purpose, in families by whose fault it is.

::

    ArmillaryError         code, message, remedy
    ├── WireError          bytes that are not what their format says; SignatureError: no trusted key signed them
    ├── RepositoryError    an update repository, or a mirror of it, gave what its signed metadata does not allow
    ├── DeviceFault        a device did, or is, something the service does not accept
    ├── EquipmentError     equipment behind a guardian, or its guard (``wire/equipment/faults.py``)
    ├── OperatorError      a person or script asked for something that cannot be done
    ├── HostError          this machine lacks something that the process needs
    ├── ManifestError      an app manifest or hardware definition breaks a rule
    └── ModelError         a device model (DTDL) breaks rules

Scripts may rely on codes (``docs/reference/errors.md``); HTTP statuses: ``api/http/problems.py``, the device endpoint.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence


class ArmillaryError(Exception):
    """An error with an explanation: what was wrong, what was expected, what to do."""

    code: str = "armillary"  # Stable, ``area.reason``
    remedy: str = ""  # One sentence: what to do next

    def __init__(self, message: str, *, remedy: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message  # One sentence; names the offending value
        if remedy is not None:
            self.remedy = remedy
        if code is not None:
            self.code = code


class WireError(ArmillaryError):
    """Bytes that do not follow their format."""

    code = "wire.malformed"
    remedy = "Rebuild or fetch the file again; it is damaged or not of this format."

    def __init__(
        self,
        format: str,  # noqa: A002 - the word of the domain
        *,
        expected: str,
        got: str,
        offset: int | None = None,
        remedy: str | None = None,
        code: str | None = None,
    ) -> None:
        place = "" if offset is None else f" at byte {offset}"
        super().__init__(f"{format}{place}: expected {expected}, got {got}", remedy=remedy, code=code)
        self.format = format  # E.g. ``image-package``
        self.offset = offset  # Of the fault in the input, bytes
        self.expected = expected
        self.got = got


class SignatureError(WireError):
    """The bytes parse, but no trusted key made their signature."""

    code = "wire.signature"
    remedy = "Sign with a key that the verifier trusts, or fetch the object again."


class DirectiveError(WireError):
    """A directive that is for another device or chip, older than one that was taken, or over."""

    code = "update.directive"
    remedy = "Check in again; if it comes back, somebody between device and service sends old or foreign directives."


class AdvisoryError(WireError):
    """A document about vulnerabilities (advisory, feed, VEX, package URL, SPDX) breaks its format or a limit."""

    code = "advisory.malformed"
    remedy = "Nothing of it was taken: fetch it again from its source, or have its author correct the named place."


class ProofError(WireError):
    """A proof about a transparency log that does not lead to the root that was signed."""

    code = "transparency.proof"
    remedy = "Do not rely on it: the entry, or the proof, was changed. Ask the service for another proof."


class InconsistentLogError(ProofError):
    """A log whose tree is not the continuation of one that was signed or seen before."""

    code = "transparency.inconsistent"
    remedy = (
        "Entries were changed, removed or reordered, or an older backup was restored. Keep both checkpoints as proof."
    )


class RepositoryError(ArmillaryError):
    """An update repository, or a mirror, gave what its signed metadata does not allow; nothing of it was taken."""

    code = "repository.refused"
    remedy = "Look at the repository and its mirrors; the device tries again at its next check-in."


class MetadataFormatError(RepositoryError):
    """A file of the repository is no TUF metadata of the expected role."""

    code = "repository.metadata"
    remedy = "Publish the metadata again, or repair the mirror that serves this file."


class UnsignedMetadataError(RepositoryError):
    """Too few of the keys that a role has signed its metadata."""

    code = "repository.unsigned"
    remedy = "Sign the metadata with as many of the role's keys as its threshold asks: armillary release keys sign."


class RollbackError(RepositoryError):
    """Metadata is older than what was trusted before, or no longer lists what was listed."""

    code = "repository.rollback"
    remedy = "Publish with a higher version; after a compromise rotate the keys of timestamp and snapshot."


class ExpiredMetadataError(RepositoryError):
    """Metadata has expired: somebody may be holding back newer metadata (freeze attack)."""

    code = "repository.expired"
    remedy = "Renew the metadata of the named role; see that the mirrors copy it."


class ClockAheadError(ExpiredMetadataError):
    """Metadata has expired by the time of this device, which was told one from the future."""

    code = "repository.clock-ahead"
    remedy = "Have root say which times were false: armillary release keys correct-clock; or armillary device recover."


class MismatchError(RepositoryError):
    """A file has another length, hash or version than the signed metadata says."""

    code = "repository.mismatch"
    remedy = "Publish the file again, or repair the mirror that serves it."


class TargetNotFoundError(RepositoryError):
    """No role that may name the artifact names it."""

    code = "repository.no-target"
    remedy = "Publish the artifact, or correct its path in the deployment."


class TransferError(RepositoryError):
    """No source of the repository gave a file: not there, too slow, too long, or the connection failed."""

    code = "repository.transfer"
    remedy = "Check that the repository or one of its mirrors can be reached from the device and is fast enough."


class DeltaError(WireError):
    """A delta is damaged, hostile or made for other artifacts: nothing of what it made is used."""

    code = "wire.delta"
    remedy = "Nothing was changed: the whole artifact is fetched instead."


class ManifestError(ArmillaryError):
    """A manifest or hardware definition breaks a rule."""

    code = "manifest.invalid"
    remedy = "Correct the named value; docs/reference/app-manifest.md lists every key."

    def __init__(self, path: str, *, expected: str, got: str, error_id: int | None = None) -> None:
        suffix = "" if error_id is None else f" (Azure Sphere error {error_id})"
        super().__init__(f"{path}: expected {expected}, got {got}{suffix}")
        self.path = path  # JSON path, e.g. ``Capabilities.Gpio[2]``
        self.expected = expected
        self.got = got
        self.error_id = error_id  # Azure Sphere's device error code for the same fault, where it has one


class ModelError(ArmillaryError):
    """A device model breaks rules of DTDL."""

    code = "model.invalid"
    remedy = "Correct the named elements; docs/reference/dtdl.md lists what is checked."

    def __init__(
        self,
        faults: Sequence[tuple[str, str]],
        *,
        count: int | None = None,
        details: Sequence[Mapping[str, str | int]] = (),
    ) -> None:
        # (where, what) of each broken rule that is kept: document, line and element; rule, expected and actual value
        self.faults = tuple(faults)
        # The same faults in parts: document, line (0: not known), path, rule, version, expected, got, remedy
        self.details = tuple(details)
        self.count = len(self.faults) if count is None else count  # All of them, kept or not
        where, what = self.faults[0]
        more = f", and {self.count - 1} more" if self.count > 1 else ""
        super().__init__(f"{where}: {what}{more}")


class DeviceFault(ArmillaryError):  # noqa: N818 - the tree is split by whose fault it is
    """A device did, or is, something the service does not accept."""

    code = "device"


class UnknownDeviceError(DeviceFault):
    """No device with this identity was manufactured or enrolled here."""

    code = "device.unknown"
    remedy = "Enrol the device first: armillary device create."


class NotLetInError(DeviceFault):
    """A client of the hub is unknown or not authenticated; the answer does not say which."""

    code = "device.not-let-in"


class UnclaimedDeviceError(DeviceFault):
    """The device belongs to no catalog yet."""

    code = "device.unclaimed"
    remedy = "Claim it: armillary device claim --catalog NAME --device ID."


class RevokedDeviceError(DeviceFault):
    """The device's identity was withdrawn."""

    code = "device.revoked"
    remedy = "Restore it: armillary device restore --device ID; or make the device anew with another identity."


class QuarantinedDeviceError(DeviceFault):
    """The device is in quarantine: it may check in and update, and nothing else."""

    code = "device.quarantined"
    remedy = "Look at why (armillary device show); when it is in order: armillary device release --device ID."


class CrashDumpRefusedError(DeviceFault):
    """A device sent a crash dump that its device group does not want."""

    code = "device.crash-dump-refused"
    remedy = "Let its group collect them: armillary device-group update --crash-dumps on; else the device deletes it."


class WrongCatalogError(DeviceFault):
    """The device belongs to another catalog."""

    code = "device.wrong-catalog"
    remedy = "Use the catalog that owns the device; its owner can offer it: armillary device transfer offer."


class DeviceStateError(DeviceFault):
    """The device's manufacturing state does not allow this."""

    code = "device.state"
    remedy = "Bring the device to the named manufacturing state first; states only move forward."


class ChallengeError(DeviceFault):
    """The challenge is stale, made for another key, or was used before."""

    code = "device.challenge"
    remedy = "Fetch a new challenge on this connection and prove again."


class ReplayedProofError(ChallengeError):
    """The challenge was made for another key or was answered before: an old or foreign proof is replayed.

    The device gets the same answer as with any challenge that it has to replace; the service records the difference.
    """


class AppraisalError(DeviceFault):
    """Evidence failed an appraisal step; ``step`` is its number in ``attest/appraise.py`` where there is one."""

    code = "device.appraisal"
    remedy = "Look at the device page: it names the failing step and what it protects against."

    def __init__(self, message: str, *, step: int | None = None, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.step = step


class BootRefusedError(DeviceFault):
    """Verified boot stopped: a stage is not signed by a trusted key, or is older than allowed."""

    code = "device.boot"
    remedy = "Restore the named component from a release: armillary device recover."


class InstallError(DeviceFault):
    """An image cannot be installed or started on this device."""

    code = "device.install"
    remedy = "Read the reason; nothing of the previous installation was changed."


class NoRoomError(InstallError):
    """A set of images is larger than what the chip has for it."""

    code = "device.no-room"
    remedy = "Deploy fewer or smaller applications."


class DoesNotFitError(InstallError):
    """The parts of a set do not fit together: an application works on another operating system."""

    code = "device.does-not-fit"
    remedy = "Deploy it together with an OS that has its ABI, or a build of it for this OS."


class RateLimitedError(DeviceFault):
    """A limit was reached; try again after ``retry_after_s`` seconds."""

    code = "device.try-later"
    remedy = "Wait for the stated time and try again."

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QuotaExceededError(RateLimitedError):
    """The caller, its catalog or all callers together hold as much as they may (``engines/quota.py``)."""

    code = "request.too-many"
    remedy = "Let what is under way end, or wait for the stated time and try again."


class OperatorError(ArmillaryError):
    """A person or a script asked for something that cannot be done."""

    code = "request"


class InvalidArgumentError(OperatorError):
    """An argument has a value that is not allowed."""

    code = "request.invalid"


class MetadataRefusedError(OperatorError):
    """Metadata of the repository that was brought for import is not what waits for signatures, or not signed by it."""

    code = "repository.import"
    remedy = "Nothing was taken; armillary release keys show says what waits, and whose signatures."


class NotFoundError(OperatorError):
    """The named thing does not exist, or is not visible to the caller."""

    code = "request.not-found"


class ConflictError(OperatorError):
    """The request contradicts the present state."""

    code = "request.conflict"


class DeviceOfflineError(OperatorError):
    """The device is not connected, or takes no direct methods."""

    code = "request.device-offline"
    remedy = "Try again when the device is connected; direct methods are not queued."


class DeviceTimeoutError(OperatorError):
    """The device did not answer a direct method in time."""

    code = "request.device-timeout"
    remedy = "Check the application on the device, or allow it more time."


class UnauthenticatedError(OperatorError):
    """The caller did not prove who it is."""

    code = "request.unauthenticated"
    remedy = "Send a valid operator token: Authorization: Bearer TOKEN."


class PermissionDeniedError(OperatorError):
    """The caller's role does not allow this."""

    code = "request.forbidden"
    remedy = "Ask an administrator for a token with the named role."


class HostError(ArmillaryError):
    """This machine lacks something that the process needs."""

    code = "host"


class PortInUseError(HostError):
    """Another process listens on the address."""

    code = "host.port-in-use"
    remedy = "Stop the other process, or choose another port (0 picks a free one)."

    @classmethod
    def at(cls, what: str, host: str, port: int, error: OSError) -> PortInUseError:
        """The error for ``what`` that cannot listen on an address, whatever the reason is."""
        if error.errno == errno.EADDRINUSE:
            return cls(f"{what}: {host}:{port} is in use by another process")
        # Names that do not resolve have numbers of their own, below 0.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        return cls(
            f"{what}: cannot listen on {host}:{port} ({reason})",
            remedy="Choose an address of this host and a port that you may use.",
        )


class DataFolderError(HostError):
    """The data folder is not writable, is of another version, or is half written."""

    code = "host.data-folder"


class FlashFullError(DataFolderError):
    """The flash of a device has no room left for what it is to fetch."""

    code = "host.flash-full"
    remedy = "Deploy fewer or smaller images, or free space on the device."


class DatabaseUnavailableError(HostError):
    """The PostgreSQL database of the hub's series does not answer; nothing is acknowledged meanwhile."""

    code = "host.database"
    remedy = "See that PostgreSQL runs and can be reached; the service goes on by itself when it answers."


class DiskReserveError(HostError):
    """The disk is so full that messages of devices are refused; what was acknowledged is kept."""

    code = "host.disk-reserve"
    remedy = "Free space on the disk, shorten the retention, or lower disk_reserve_mb."


class ParquetMissingError(HostError):
    """The library that writes Parquet is not installed where the service runs."""

    code = "host.parquet-missing"
    remedy = "Install the extra where the service runs: pip install 'armillary[parquet]'; or export CSV."


class DataFolderInUseError(HostError):
    """Another process holds the data folder."""

    code = "host.data-folder-in-use"
    remedy = "Stop the process that holds it, or use another folder with --data."


class KeyPassphraseError(HostError):
    """The passphrase of the service's private keys is missing, unusable or another folder's."""

    code = "host.key-passphrase"
    remedy = (
        "Give the passphrase this folder was made with: put its file back beside the data folder, or name it with "
        "ARMILLARY_KEY_PASSPHRASE_FILE. Without it the keys are lost; restore a backup of both."
    )


class SignerError(HostError):
    """What keeps a private key (a PKCS #11 token) does not answer or refuses."""

    code = "host.signer"
    remedy = "Check pkcs11_module, pkcs11_token and pkcs11_pin_file, and that the token is there."


class SandboxUnavailableError(HostError):
    """The host cannot contain applications the way that was asked for."""

    code = "host.sandbox"


class RootOfTrustError(HostError):
    """The root of trust cannot be opened or is damaged."""

    code = "host.root-of-trust"


class ServiceUnreachableError(HostError):
    """The service did not answer."""

    code = "host.service-unreachable"
    remedy = "Check the address and that the service runs: armillary status."

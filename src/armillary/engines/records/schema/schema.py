# SPDX-License-Identifier: Apache-2.0
"""The tables. Portable types only; times are integer Unix seconds UTC; JSON documents are text.

Rules of the schema:

* A name that people choose has a second column ``*_key`` with its lower case, unique where the name is unique.
* ``device`` has what an operator and the factory decide, ``device_status`` what check-ins report: each has one writer.
* ``check_in`` is unique by (end of the challenge, challenge id), so the database refuses a challenge the second time.
  The MAC of a challenge covers its end, so the end cannot differ. The ids are random: an index of ids alone changes in
  as many pages as there are check-ins in a commit (10 us each), an index by time only at its end.
* ``error_report`` is unique by (device, boot count, sequence), ``outcome`` by its contents: repeats are stored once.
* ``finding.open_key`` equals the fingerprint until the finding is closed and is null afterwards: at most one finding
  per fingerprint is open, however many watchers report it.

A change here needs a migration in ``migrations/versions`` and a new :data:`REVISION`;
``tests/engines/records/test_migrations.py`` compares both ways of making the tables.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from armillary.engines.records.schema import (
    advisory_tables,
    bridge_tables,
    crash_tables,
    firmware_tables,
    hub_tables,
    image_tables,
    log_tables,
    name_tables,
    rollout_tables,
    software_tables,
    tables,
    update_tables,
)
from armillary.engines.records.schema.security import (
    case_tables,
    cellular_tables,
    device_log_tables,
    disclosure_tables,
    dump_tables,
    notification_tables,
    people_tables,
    response_tables,
    statement_tables,
)

REVISION = "0052"  # newest migration, stored in a new database

metadata = tables.metadata
DEVICE_ID_LENGTH = tables.DEVICE_ID_LENGTH
NAME_LENGTH = tables.NAME_LENGTH
Number = tables.Number
bridge_admission = bridge_tables.bridge_admission
bridge_authority = bridge_tables.bridge_authority
bridge_device = bridge_tables.bridge_device
bridge_artifact = bridge_tables.bridge_artifact
bridge_action = bridge_tables.bridge_action
bridge_status = bridge_tables.bridge_status
error_report = crash_tables.error_report
firmware_statement = firmware_tables.firmware_statement
device_firmware = firmware_tables.device_firmware
device_name = name_tables.device_name
device_directive = update_tables.device_directive
device_fetch = update_tables.device_fetch
device_name_word = name_tables.device_name_word
hub_admission = hub_tables.hub_admission
hub_identity = hub_tables.hub_identity
hub_enrolment = hub_tables.hub_enrolment
hub_certificate = hub_tables.hub_certificate
hub_registration = hub_tables.hub_registration
hub_service_key = hub_tables.hub_service_key
image = image_tables.image
deployment = image_tables.deployment
deployment_image = image_tables.deployment_image
notification_channel = notification_tables.notification_channel  # and with it all of that file
person = people_tables.person  # and with it all of that file
action = response_tables.action  # and with it all of that file
action_device = response_tables.action_device
log_checkpoint = log_tables.log_checkpoint
log_cosignature = log_tables.log_cosignature
log_subtree = log_tables.log_subtree
log_witness = log_tables.log_witness
release_event = log_tables.release_event
transparency_log = log_tables.transparency_log
rollout = rollout_tables.rollout
rollout_crash = rollout_tables.rollout_crash
rollout_device = rollout_tables.rollout_device
rollout_evidence = rollout_tables.rollout_evidence
rollout_group = rollout_tables.rollout_group
bill_of_materials = update_tables.bill_of_materials
trust_store = update_tables.trust_store
trust_package = update_tables.trust_package
os_component = update_tables.os_component
os_feed = update_tables.os_feed
os_release = update_tables.os_release
security_floor = update_tables.security_floor
update_schedule = update_tables.update_schedule
cellular_status = cellular_tables.cellular_status
device_log = device_log_tables.device_log
device_log_request = device_log_tables.device_log_request
crash_dump = dump_tables.crash_dump
crash_dump_key = dump_tables.crash_dump_key
reported_case = case_tables.reported_case
reported_case_entry = case_tables.reported_case_entry
dossier = case_tables.dossier
own_statement = statement_tables.own_statement
disclosure_policy = disclosure_tables.disclosure_policy
vulnerability_report = disclosure_tables.vulnerability_report
vulnerability_report_entry = disclosure_tables.vulnerability_report_entry
advisory_feed = advisory_tables.advisory_feed  # and with it all of that file
software_set = software_tables.software_set
software_part = software_tables.software_part
device_software = software_tables.device_software
software_count = software_tables.software_count
software_move = software_tables.software_move
software_past = software_tables.software_past


def _number() -> Column[int]:
    return Column("number", Number, primary_key=True, autoincrement=True)


catalog = Table(
    "catalog",
    metadata,
    Column("catalog_id", Uuid, primary_key=True),
    Column("name", String(NAME_LENGTH), nullable=False),
    Column("name_key", String(NAME_LENGTH), nullable=False, unique=True),
    Column("resource_group", String(90), nullable=False),
    Column("tags", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("rollout_approval", Boolean),  # true: roll-outs wait for a second person
)

product = Table(
    "product",
    metadata,
    Column("product_id", Uuid, primary_key=True),
    Column("catalog_id", Uuid, ForeignKey("catalog.catalog_id"), nullable=False),
    Column("name", String(NAME_LENGTH), nullable=False),
    Column("name_key", String(NAME_LENGTH), nullable=False),
    Column("description", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("support_ends", BigInteger),  # until when it gets security updates; null: not declared
    Column("placed_on_market", BigInteger),
    Column("manufacturer", Text, nullable=False, server_default=""),
    Column("contact", Text, nullable=False, server_default=""),
    Column("intended_use", Text, nullable=False, server_default=""),
    UniqueConstraint("catalog_id", "name_key"),
)

device_group = Table(
    "device_group",
    metadata,
    Column("group_id", Uuid, primary_key=True),
    Column("product_id", Uuid, ForeignKey("product.product_id"), nullable=False),
    Column("name", String(NAME_LENGTH), nullable=False),
    Column("name_key", String(NAME_LENGTH), nullable=False),
    Column("description", Text, nullable=False),
    Column("os_feed", String(16), nullable=False),
    Column("update_policy", String(32), nullable=False),
    Column("allow_crash_dumps", String(16), nullable=False),
    Column("regional_data_boundary", String(16), nullable=False),
    Column("deployment_id", Uuid),
    Column("created_at", BigInteger, nullable=False),
    Column("country", String(2), nullable=False, server_default=""),  # where its devices are; empty: not said
    Column("crash_dump_stacks", String(16), nullable=False, server_default="scrubbed"),
    Column("crash_dump_days", Integer, nullable=False, server_default="29"),
    UniqueConstraint("product_id", "name_key"),
)

device = Table(
    "device",
    metadata,
    _number(),
    Column("device_id", String(DEVICE_ID_LENGTH), nullable=False, unique=True),
    Column("chip", String(32), nullable=False),
    Column("chip_sku", String(32), nullable=False),
    Column("trust_tier", String(16), nullable=False),
    Column("manufacturing_state", String(32), nullable=False),
    Column("enrolled_at", BigInteger, nullable=False),
    Column("catalog_id", Uuid, ForeignKey("catalog.catalog_id")),
    Column("group_id", Uuid, ForeignKey("device_group.group_id")),
    Column("claimed_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("revoked_reason", Text, nullable=False),
    # Taken out of service: revoked, without an owner; it can come back through an enrolment before the second time.
    Column("decommissioned_at", BigInteger),
    Column("reprovision_until", BigInteger),
    Column("check_now_at", BigInteger),  # when somebody asked it to check in at once
    Index(None, "catalog_id", "device_id"),
    # For counting a group and putting its devices in a roll-out's order: 0.1 s for a million, without a row read.
    Index(None, "group_id", "revoked_at", "number"),
    # For a catalog's summary, in the order of device_status: 1.3 s for a million devices, not 7 s.
    Index(None, "catalog_id", "trust_tier", "revoked_at"),
)

# Permissions to enrol devices into one device group; whether the group still exists is checked at use.
enrolment_token = Table(
    "enrolment_token",
    metadata,
    Column("token_id", Uuid, primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    Column("catalog_id", Uuid, nullable=False, index=True),
    Column("group_id", Uuid, nullable=False),
    Column("chip", String(32), nullable=False),
    Column("uses", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

# The devices that used a token: one that comes again with the same key is answered again, without another use.
enrolment = Table(
    "enrolment",
    metadata,
    Column("token_id", Uuid, ForeignKey("enrolment_token.token_id"), primary_key=True),
    Column("device_number", Number, ForeignKey("device.number"), primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
)

# Offers of a device from one catalog to another. open_device is the device while the offer is open, else null.
transfer = Table(
    "transfer",
    metadata,
    _number(),
    Column("transfer_id", Uuid, nullable=False, unique=True),
    Column("device_number", Number, ForeignKey("device.number"), nullable=False),
    Column("open_device", Number, unique=True),
    Column("from_catalog_id", Uuid, nullable=False, index=True),
    Column("to_catalog_id", Uuid, nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("settled_at", BigInteger),
    Column("settled_by", Text, nullable=False),
)

# The attestation key that a device's TPM has proven at enrolment; devices without a TPM have no row.
tpm_key = Table(
    "tpm_key",
    metadata,
    Column("device_number", Number, ForeignKey("device.number"), primary_key=True, autoincrement=False),
    Column("attestation_key", LargeBinary, nullable=False),
    Column("endorsement_certificate", LargeBinary, nullable=False),
    Column("manufacturer", String(64), nullable=False),
    Column("model", String(64), nullable=False),
)

device_status = Table(
    "device_status",
    metadata,
    Column("device_number", Number, ForeignKey("device.number"), primary_key=True, autoincrement=False),
    Column("verdict", String(16)),
    Column("checked_in_at", BigInteger),
    Column("refused_at", BigInteger),
    Column("refusal", String(64), nullable=False),
    Column("boot_count", BigInteger, nullable=False),
    Column("endorsement", LargeBinary, nullable=False),
    Column("security_versions", Text, nullable=False),
    Column("os_version", String(64), nullable=False),
    Column("sandbox", String(64), nullable=False),
    Column("installed", Text, nullable=False),
    Column("enforcement", Text, nullable=False),
    Column("certificate_serial", String(40), nullable=False),
    Column("certificate_not_after", BigInteger),
    Column("offered_deployment_id", Uuid),
    Column("updated_at", BigInteger),
    # What the last proof showed of an earlier reply, and since when the device is held:
    # engines/records/schema/lineage.py.
    Column("lineage", String(40)),
    Column("held_at", BigInteger),
    # The highest sequence number of an error report that was only counted: reported again, it is not counted again.
    Column("suppressed_up_to", BigInteger),
    Column("update_status", Text),  # what it says about its update, JSON; null: it has never said anything
    # Since when it gets update certificates only, until when at most, and why.
    Column("quarantined_at", BigInteger),
    Column("quarantined_until", BigInteger),
    Column("quarantine_reason", Text),
    Index(None, "quarantined_at", sqlite_where=text("quarantined_at IS NOT NULL")),
)

appraisal_steps = Table(
    "appraisal_steps",
    metadata,
    Column("steps_id", Number, primary_key=True, autoincrement=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("document", Text, nullable=False),
)

check_in = Table(
    "check_in",
    metadata,
    _number(),
    Column("device_number", Number, ForeignKey("device.number"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("steps_id", Number, ForeignKey("appraisal_steps.steps_id"), nullable=False),
    Column("boot_count", BigInteger, nullable=False),
    Column("os_version", String(64), nullable=False),
    Column("certificate_serial", String(40), nullable=False),
    Column("certificate_not_after", BigInteger, nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("offer_id", Uuid),
    Column("deployment_id", Uuid),
    Column("challenge_id", LargeBinary, nullable=False),
    Column("challenge_expires_at", BigInteger, nullable=False),
    UniqueConstraint("challenge_expires_at", "challenge_id"),
    Index(None, "device_number", "number"),
)

refusal = Table(
    "refusal",
    metadata,
    _number(),
    Column("device_id", String(DEVICE_ID_LENGTH), nullable=False),
    Column("code", String(64), nullable=False),
    Column("minute", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("message", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    # How many of them the watch has not read: a row may be counted up after it was read. Null: none.
    Column("unread", BigInteger),
    UniqueConstraint("device_id", "code", "minute"),
    # Whole on PostgreSQL: to name a condition for it loads its dialect, 4 MB, wherever the schema is.
    Index(None, "unread", sqlite_where=text("unread IS NOT NULL")),
)

outcome = Table(
    "outcome",
    metadata,
    _number(),
    Column("device_number", Number, ForeignKey("device.number"), nullable=False),
    Column("offer_id", Uuid, nullable=False),
    Column("deployment_id", Uuid),
    Column("image_id", Uuid, nullable=False),
    Column("component_id", Uuid, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    UniqueConstraint("device_number", "offer_id", "image_id", "outcome", "at"),
    Index(None, "deployment_id", "number"),
)

certificate = Table(
    "certificate",
    metadata,
    Column("serial", String(40), primary_key=True),
    # root | silicon | catalog | issuing | os-signing | image-signing | server | identity
    Column("kind", String(16), nullable=False),
    Column("catalog_id", Uuid, ForeignKey("catalog.catalog_id"), index=True),
    Column("subject", Text, nullable=False),
    Column("thumbprint", String(40), nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("der", LargeBinary, nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Index(None, "kind", "not_after"),
)

# The newest revocation list of each authority: its number must rise over restarts, whatever the clock shows.
revocation_list = Table(
    "revocation_list",
    metadata,
    Column("issuer_serial", String(40), ForeignKey("certificate.serial"), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("this_update", BigInteger, nullable=False),
    Column("next_update", BigInteger, nullable=False),
    Column("der", LargeBinary, nullable=False),
)

# Versions of a catalog's demands on its devices; the highest is in force. Document: JSON form of attest/policy.py.
attestation_policy = Table(
    "attestation_policy",
    metadata,
    Column("catalog_id", Uuid, ForeignKey("catalog.catalog_id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", Text, nullable=False),
)

finding = Table(
    "finding",
    metadata,
    _number(),
    Column("finding_id", Uuid, nullable=False, unique=True),
    Column("fingerprint", String(128), nullable=False),
    Column("open_key", String(128), unique=True),
    Column("kind", String(32), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("title", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("proposed_action", Text, nullable=False),
    Column("status", String(16), nullable=False, index=True),
    Column("count", BigInteger, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Column("catalog_id", Uuid),
    Column("group_id", Uuid),
    Column("deployment_id", Uuid),
    Column("rollout_id", Uuid),
    Column("image_id", Uuid),
    Column("component_id", Uuid),
    Column("advisory_id", String(advisory_tables.ID_LENGTH)),
)

finding_device = Table(
    "finding_device",
    metadata,
    Column("finding_id", Uuid, ForeignKey("finding.finding_id"), primary_key=True),
    Column("device_id", String(DEVICE_ID_LENGTH), primary_key=True),
    Index(None, "device_id"),
)

watch_position = Table(
    "watch_position",
    metadata,
    Column("source", String(32), primary_key=True),
    Column("number", BigInteger, nullable=False),
)

audit_line = Table(
    "audit_line",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("operation", String(64), nullable=False),
    Column("target", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous_hash", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    # Of a line that was committed with a change of another database first (engines/database/outbox.py).
    Column("entry_id", String(32)),
    Index(None, "entry_id", unique=True),
    Index(None, "target", "number"),
    Index(None, "actor", "number"),
    Index(None, "operation", "number"),
)

token = Table(
    "token",
    metadata,
    Column("token_id", Uuid, primary_key=True),
    Column("name", String(NAME_LENGTH), nullable=False),
    Column("role", String(16), nullable=False),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", BigInteger),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("catalog_id", Uuid),  # the only catalog it is valid for; null: all
    Column("organisation", String(128)),  # the only organisation of that catalog; null: all
)

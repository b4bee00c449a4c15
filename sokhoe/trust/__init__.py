"""I am the gate: nobody reads or writes a record except through my Session, and what was done
stands in a chain that cannot be changed unseen.

I keep accounts, sign-ins, tokens and the audit. I may ask fhir and store.
I never know a screen or a form.
"""

from sokhoe.settings import DEMO_PASSWORD
from sokhoe.store import (
    Change,
    Choice,
    Delete,
    Edition,
    Fault,
    Keep,
    Loaded,
    Mended,
    Page,
    Point,
    Put,
    Receipt,
    Still,
    Sweep,
    Swept,
    Version,
)
from sokhoe.trust import keys
from sokhoe.trust.accounts import Account
from sokhoe.trust.actors import STAFF, USUAL_PURPOSE, Actor, Level, Purpose, Role
from sokhoe.trust.agreements import CLASSES, Agreement, Agreements
from sokhoe.trust.assertions import ALGORITHMS as ASSERTION_ALGORITHMS
from sokhoe.trust.assertions import TYPE as ASSERTION_TYPE
from sokhoe.trust.auditlog import AuditLog, Sealer
from sokhoe.trust.breakglass import Opening, Review
from sokhoe.trust.breakglass import reasons as emergency_reasons
from sokhoe.trust.clients import INTROSPECTION, WORDS, Client, Clients, Kind, Proof, listed_scopes
from sokhoe.trust.devices import Here, check_pin_rules
from sokhoe.trust.entrance import Half, check_recent
from sokhoe.trust.exporting import Bounds
from sokhoe.trust.factors import Passkey, View
from sokhoe.trust.gate import Gate, SignedIn
from sokhoe.trust.grants import Grant, Wish, is_challenge, may_grant, within
from sokhoe.trust.indexing import allowed as check_reindex
from sokhoe.trust.jobs import Job, Jobs, State
from sokhoe.trust.keeping import KeepAll, Resource, Retention, Rule, longest, read_rules
from sokhoe.trust.keys import open_memory
from sokhoe.trust.loading import Batch, Makers, Place, open_lines, refusals
from sokhoe.trust.passwords import (
    digest,
    draw,
    draw_code,
    hash_password,
    password_fits,
    read_code,
    same,
)
from sokhoe.trust.permits import MACHINES, PERMITS, Deed, Permit, scope_deeds
from sokhoe.trust.session import Session, mark
from sokhoe.trust.signins import Entry, Origin, Stage
from sokhoe.trust.soon import SoonSession
from sokhoe.trust.tokens import Token, Tokens
from sokhoe.trust.totp import address as totp_address

__all__ = [
    "ASSERTION_ALGORITHMS",
    "ASSERTION_TYPE",
    "CLASSES",
    "DEMO_PASSWORD",
    "INTROSPECTION",
    "MACHINES",
    "PERMITS",
    "STAFF",
    "USUAL_PURPOSE",
    "WORDS",
    "Account",
    "Actor",
    "Agreement",
    "Agreements",
    "AuditLog",
    "Batch",
    "Bounds",
    "Change",
    "Choice",
    "Client",
    "Clients",
    "Deed",
    "Delete",
    "Edition",
    "Entry",
    "Fault",
    "Gate",
    "Grant",
    "Half",
    "Here",
    "Job",
    "Jobs",
    "Keep",
    "KeepAll",
    "Kind",
    "Level",
    "Loaded",
    "Makers",
    "Mended",
    "Opening",
    "Origin",
    "Page",
    "Passkey",
    "Permit",
    "Place",
    "Point",
    "Proof",
    "Purpose",
    "Put",
    "Receipt",
    "Resource",
    "Retention",
    "Review",
    "Role",
    "Rule",
    "Sealer",
    "Session",
    "SignedIn",
    "SoonSession",
    "Stage",
    "State",
    "Still",
    "Sweep",
    "Swept",
    "Token",
    "Tokens",
    "Version",
    "View",
    "Wish",
    "check_pin_rules",
    "check_recent",
    "check_reindex",
    "digest",
    "draw",
    "draw_code",
    "emergency_reasons",
    "hash_password",
    "is_challenge",
    "keys",
    "listed_scopes",
    "longest",
    "mark",
    "may_grant",
    "open_lines",
    "open_memory",
    "password_fits",
    "read_code",
    "read_rules",
    "refusals",
    "same",
    "scope_deeds",
    "totp_address",
    "within",
]

"""I am the gate: nobody reads or writes a record except through my Session, and what was done
stands in a chain that cannot be changed unseen.

I keep accounts, sign-ins, tokens and the audit. I may ask fhir and store.
I never know a screen or a form.
"""

from sokhoe.store import (
    Change,
    Choice,
    Delete,
    Fault,
    Keep,
    Loaded,
    Page,
    Point,
    Put,
    Receipt,
    Still,
    Sweep,
    Swept,
    Version,
)
from sokhoe.trust.actors import STAFF, USUAL_PURPOSE, Actor, Purpose, Role
from sokhoe.trust.auditlog import AuditLog, Sealer
from sokhoe.trust.exporting import Bounds
from sokhoe.trust.gate import Account, Gate, SignedIn, Token
from sokhoe.trust.jobs import Job, Jobs, State
from sokhoe.trust.loading import Batch, Makers, Place, open_lines, refusals
from sokhoe.trust.passwords import DEMO_PASSWORD, digest, draw, same
from sokhoe.trust.permits import MACHINES, PERMITS, Deed, Permit
from sokhoe.trust.session import Session, mark
from sokhoe.trust.soon import SoonSession

__all__ = [
    "DEMO_PASSWORD",
    "MACHINES",
    "PERMITS",
    "STAFF",
    "USUAL_PURPOSE",
    "Account",
    "Actor",
    "AuditLog",
    "Batch",
    "Bounds",
    "Change",
    "Choice",
    "Deed",
    "Delete",
    "Fault",
    "Gate",
    "Job",
    "Jobs",
    "Keep",
    "Loaded",
    "Makers",
    "Page",
    "Permit",
    "Place",
    "Point",
    "Purpose",
    "Put",
    "Receipt",
    "Role",
    "Sealer",
    "Session",
    "SignedIn",
    "SoonSession",
    "State",
    "Still",
    "Sweep",
    "Swept",
    "Token",
    "Version",
    "digest",
    "draw",
    "mark",
    "open_lines",
    "refusals",
    "same",
]

"""I am the family mail: what a station saves comes to the hub, each commit once and in order,
however bad the line is.

I keep the stations' keys, how far each station's history is stored at the hub, what lies in
quarantine, and at a station how far it has arrived. I may ask fhir, store, trust and web.
I never translate what a record means, and I never make anybody wait for the line.
"""

from sokhoe.sync.enrol import (
    ENROL,
    Enrolment,
    admit,
    enrol_at,
    enrol_directly,
    enrolment_of,
    make_code,
)
from sokhoe.sync.heads import NodeHead, head_of
from sokhoe.sync.keys import NodeKey, load_key, make_key
from sokhoe.sync.letters import as_answer, letter_routes
from sokhoe.sync.line import LineMemory, LineState, StationLine, file_cut
from sokhoe.sync.quarantine import Quarantined, release, waiting
from sokhoe.sync.receive import LetterBox, Result
from sokhoe.sync.registry import Node, NodeState, Request, node_of, nodes, revoke
from sokhoe.sync.room import CUT_FILE, StationMail, followers, open_room, routes
from sokhoe.sync.sender import PUSH, STATE, Sender
from sokhoe.sync.wire import PROTOCOL, Head, Page, pack, unpack

__all__ = [
    "CUT_FILE",
    "ENROL",
    "PROTOCOL",
    "PUSH",
    "STATE",
    "Enrolment",
    "Head",
    "LetterBox",
    "LineMemory",
    "LineState",
    "Node",
    "NodeHead",
    "NodeKey",
    "NodeState",
    "Page",
    "Quarantined",
    "Request",
    "Result",
    "Sender",
    "StationLine",
    "StationMail",
    "admit",
    "as_answer",
    "enrol_at",
    "enrol_directly",
    "enrolment_of",
    "file_cut",
    "followers",
    "head_of",
    "letter_routes",
    "load_key",
    "make_code",
    "make_key",
    "node_of",
    "nodes",
    "open_room",
    "pack",
    "release",
    "revoke",
    "routes",
    "unpack",
    "waiting",
]

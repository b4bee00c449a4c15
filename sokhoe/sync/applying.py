"""A commit of a station becomes a commit of the hub: one transaction, or a reason why not."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sokhoe.errors import Busy, Conflict, Invalid, SokhoeError, Unavailable
from sokhoe.store import Commit, Keep, Store, Version
from sokhoe.sync.registry import Node
from sokhoe.trust import Change, Delete, Put, Session

log = logging.getLogger("sokhoe.sync")
# What a fault in our own code raises, and a broken disk or a full memory does not.
OURS = (
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RecursionError,
)


def changes_of(commit: Commit) -> list[Change]:
    """What a commit does, as the hub does it: ids stay, version numbers are the hub's own.

    Raises Invalid when a body cannot be understood.
    """
    return [
        Delete(one.type, one.id) if one.deleted else Put(one.resource) for one in commit.versions
    ]


def not_theirs(hub: Store, node: Node, commit: Commit) -> str:
    """ "", or which other facility this commit would change.

    Which facility a visit belongs to cannot be told from its resources alone (a patient may be
    managed by one and seen by another), but what the province knows of a facility is changed by
    that facility or the province. A station that merely holds the same is no trouble.
    """
    for one in commit.versions:
        if one.type == "Organization" and one.ref != node.facility:
            standing = hub.read("Organization", one.id)
            if standing is not None and not _says_the_same(one, standing):
                return f"other-facility: {one.ref} is not the facility of this station."
    return ""


def _says_the_same(new: Version, standing: Version) -> bool:
    if new.deleted or standing.deleted:
        return new.deleted == standing.deleted
    try:
        mine, theirs = new.resource, standing.resource
    except Invalid:
        return True  # what cannot be understood is refused as such, a step later
    return {**mine, "meta": None} == {**theirs, "meta": None}


def attempt(session: Session, commit: Commit, keeps: Sequence[Keep]) -> str:
    """Store a commit together with these keeps. Returns "" or why it cannot be stored.

    Raises Conflict (the keeps), and whatever says that the hub, not the commit, is at fault
    (Busy, Unavailable, the disk): then the station must send it again.
    """
    note = f"from {commit.node} epoch {commit.epoch} number {commit.seq}"
    try:
        session.commit(changes_of(commit), note=note, keeps=keeps, author=commit.author)
    except (Conflict, Busy, Unavailable):
        raise
    except SokhoeError as error:
        places = ", ".join(issue.location for issue in error.issues if issue.location)
        return f"{error.slug}: {error.message}" + (f" ({places})" if places else "")
    except OURS as error:
        # A fault of ours that this record wakes: it must not stop the records behind it.
        log.exception("commit %s of node %s could not be stored", commit.seq, commit.node)
        return f"failure: {type(error).__name__}: {error}"
    return ""

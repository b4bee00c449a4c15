"""A commit of a station becomes a commit of the hub: one transaction, or a reason why not."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sokhoe.errors import Busy, Conflict, SokhoeError, Unavailable
from sokhoe.store import Commit, Keep
from sokhoe.trust import Change, Delete, Put, Session

log = logging.getLogger("sokhoe.sync")


def changes_of(commit: Commit) -> list[Change]:
    """What a commit does, as the hub does it: ids stay, version numbers are the hub's own.

    Raises Invalid when a body cannot be understood.
    """
    return [
        Delete(one.type, one.id) if one.deleted else Put(one.resource) for one in commit.versions
    ]


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
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        # A fault of ours that this record wakes: it must not stop the records behind it.
        log.exception("commit %s of node %s could not be stored", commit.seq, commit.node)
        return f"failure: {type(error).__name__}: {error}"
    return ""

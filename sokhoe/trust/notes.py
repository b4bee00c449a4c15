"""Lines of the audit about coming in: sign-ins, refusals, changes of accounts and keys."""

from __future__ import annotations

from sokhoe import clock
from sokhoe.store import Entry, Store
from sokhoe.trust.actors import Actor, Purpose


def note(
    store: Store,
    username: str,
    what: str,
    address: str = "",
    *,
    actor: Actor | None = None,
    outcome: str = "0",
) -> None:
    """Write one line. `actor`: who did it, where that is proved; else only the name that was
    claimed is known. `outcome`: 0 done, 4 refused."""
    store.record(
        Entry(
            at=clock.now(),
            actor=actor.id if actor else f"account/{username[:64]}",
            name=actor.name if actor else username[:64],
            role=str(actor.role) if actor else "",
            place=actor.place if actor else "",
            purpose=str(Purpose.HSYSADMIN),
            action="E",
            outcome=outcome,
            address=address,
            note=what,
        )
    )

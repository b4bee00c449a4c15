"""The end of the clinic: all of today's visits that are mine and not yet signed, with one PIN."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from sokhoe import clock
from sokhoe.clinic.visits import parts_of, record
from sokhoe.errors import SokhoeError
from sokhoe.trust import signing
from sokhoe.web import Ask, desk_of

MOST = 200  # visits of one doctor in a day


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one visit: its code, or what was wrong, in the reader's language."""

    id: str
    at: str
    code: str = ""
    error: str = ""


def sign_day(ask: Ask) -> Response:
    """GET shows what would be signed and asks for the PIN; POST signs."""
    desk = desk_of(ask.site)
    device = signing.open_device(ask.site.settings)
    visits = mine(ask, desk)
    error, outcomes = "", list[Outcome]()
    if ask.request.method == "POST" and visits:
        try:
            with device.unlock(ask.field("pin"), ask.field("code")) as signer:
                documents = [
                    [f"Encounter/{id}", *(one.ref for one in parts_of(ask.session, id))]
                    for id, _ in visits
                ]
                signed = desk.sign_many(ask.session, documents, signer)
        except SokhoeError as failure:
            error = ask.t.error(failure)
        else:
            outcomes = [
                Outcome(id, at, one.code, ask.t.error(one.error) if one.error else "")
                for (id, at), one in zip(visits, signed, strict=True)
            ]
            visits = []
    return ask.render(
        "clinic/signing.html",
        visits=visits,
        outcomes=outcomes,
        good=sum(1 for one in outcomes if one.code),
        error=error,
        device=device.label if device.ready else "",
    )


def mine(ask: Ask, desk: signing.Desk) -> list[tuple[str, str]]:
    """(id, time) of today's finished visits of this member of staff that nobody has signed yet."""
    pairs = [
        ("date", clock.today().isoformat()),
        ("participant", ask.actor.id),
        ("status", "finished"),
        ("_sort", "date"),
        ("_count", str(MOST)),
    ]
    found = ask.session.search("Encounter", pairs).versions
    return [(one.id, record(one.resource, ()).at) for one in found if not desk.is_signed(one.ref)]

"""What is signed is closed: it changes only by an addendum with a reason, and is kept as long as
the law says.

    draft ── active ── closed ── archived
             unsigned  signed    at rest: no addendum either

    drawer `locked`       reference → {state, version, by, at, until, rule}
    drawer `locked-types` "all" → types of which something is locked; most commits look only here
    drawer `hold`         reference (Patient/…, or one record) → {reason, by, at}
    drawer `signed`       Provenance id → 1: came with a signature that nobody has checked yet

An addendum is a new version in one commit with a Provenance that targets it, with the activity
`amend` (ISO 21089) and a reason. Content that is as it stands is no change: mail may come twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from sokhoe import clock
from sokhoe.errors import Conflict, Invalid, NotFound
from sokhoe.fhir import decode
from sokhoe.store import Change, Delete, Keep, Put, Store, bare, bare_of

LOCKED, TYPES, HOLD, SIGNED = "locked", "locked-types", "hold", "signed"
CLOSED, ARCHIVED = "closed", "archived"
LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
AMEND = {"coding": [{"system": LIFECYCLE, "code": "amend", "display": "Amend (Update)"}]}
_DRAFTS = frozenset(
    "draft preliminary planned registered in-progress preparation entered-in-error".split()
)


def guard(store: Store, changes: Sequence[Change]) -> list[Keep]:
    """Refuse a commit that would change what is signed; what must hold (and be noted) in its
    transaction. Raises Conflict. What makes records anew, or of types of which nothing is signed,
    costs one look at most."""
    keeps = [
        Keep(SIGNED, str(one.resource.get("id", "")), 1)
        for one in changes
        if isinstance(one, Put)
        and one.resource["resourceType"] == "Provenance"
        and one.resource.get("signature")
    ]
    touched = [one for one in changes if isinstance(one, Delete) or one.if_version != 0]
    if not touched:
        return keeps
    types = frozenset(store.kept(TYPES, "all") or ())
    for change in touched:
        if isinstance(change, Delete):
            _refuse_held(store, change)
        elif change.resource["resourceType"] not in types:
            continue
        ref = _ref(change)
        lock = store.kept(LOCKED, ref)
        if lock is None:  # and shall still be unlocked when it is written
            keeps += [Keep(LOCKED, ref, None, expected=None)] if ref.split("/")[0] in types else []
        elif isinstance(change, Delete):
            _refuse_kept(ref, lock)
            keeps.append(Keep(LOCKED, ref, None))
        elif not _same(store, change.resource):
            _refuse_edit(store, ref, lock, change.resource, changes)
    return keeps


def guard_block(store: Store, types: Iterable[str], refs: Sequence[str]) -> None:
    """Refuse a block of a bulk load that holds a signed record, whatever its content: a block is
    written as it is, so it cannot be told there whether this would be a change. Raises Conflict."""
    closed = frozenset(store.kept(TYPES, "all") or ()) & set(types)
    mine = (ref for ref in refs if ref.split("/")[0] in closed)
    signed = [ref for ref in mine if store.kept(LOCKED, ref) is not None]
    if signed:
        raise Conflict(
            f"{', '.join(signed[:5])}{' …' if len(signed) > 5 else ''}: signed, and not to be "
            "written by a bulk load.",
            hint="Take these records out of the file; what must be added to them is sent as an "
            "addendum.",
            slug="signed",
        )


def closing(
    store: Store, versions: Mapping[str, int], by: str, until: str = "", rule: str = ""
) -> list[Keep]:
    """What locks these records (reference → version that was signed), to be kept together with the
    Provenance `by`. `until`: the last day on which they must be kept; "": for ever."""
    types = store.kept(TYPES, "all")
    new = sorted({ref.split("/")[0] for ref in (*versions, by)} | set(types or ()))
    keeps = [Keep(TYPES, "all", new, expected=types)] if new != types else []
    lock = {"state": CLOSED, "by": by, "at": clock.now(), "until": until, "rule": rule}
    keeps += [Keep(LOCKED, ref, {**lock, "version": held}) for ref, held in versions.items()]
    return [*keeps, Keep(LOCKED, by, {**lock, "version": 1})]


def state_of(store: Store, ref: str) -> str:
    """draft, active, closed or archived. Raises NotFound."""
    lock = store.kept(LOCKED, ref)
    if lock is not None:
        return str(lock["state"])
    type, _, id = ref.partition("/")
    found = store.read(type, id)
    if found is None or found.deleted:
        raise NotFound(f"There is no {ref}.")
    return "draft" if found.resource.get("status") in _DRAFTS else "active"


def archive(store: Store, ref: str) -> None:
    """Lay a closed record to rest: nothing is added any more. Raises Conflict when it is open."""
    lock = store.kept(LOCKED, ref)
    if lock is None:
        raise Conflict(f"{ref} is not closed.", hint="Sign it first.", slug="signed")
    store.keep(Keep(LOCKED, ref, {**lock, "state": ARCHIVED}, expected=lock))


def hold(store: Store, ref: str, reason: str, by: str) -> None:
    """Nothing of this record (of this patient) is deleted until `release`, whatever the periods."""
    if not reason.strip():
        raise Invalid("A legal hold needs a reason.", slug="legal-hold", location="reason")
    store.keep(Keep(HOLD, ref, {"reason": reason.strip(), "by": by, "at": clock.now()}))


def release(store: Store, ref: str) -> None:
    store.keep(Keep(HOLD, ref, None))


def amendment(ref: str, version: int, actor: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """The Provenance of an addendum, without id. Raises Invalid without a reason."""
    if not reason.strip():
        raise Invalid("Say why the record is supplemented.", slug="amendment", location="reason")
    return {
        "resourceType": "Provenance",
        "target": [{"reference": f"{ref}/_history/{version}"}],
        "recorded": clock.iso(clock.now()),
        "activity": AMEND,
        "reason": [{"text": reason.strip()}],
        "agent": [{"who": dict(actor)}],
    }


# -- inside ----------------------------------------------------------------------------------


def _refuse_edit(
    store: Store,
    ref: str,
    lock: Mapping[str, Any],
    resource: Mapping[str, Any],
    changes: Iterable[Change],
) -> None:
    if ref.startswith("Provenance/") and _only_completed(store, resource):
        return
    if lock["state"] != ARCHIVED and any(_amends(one, ref) for one in changes):
        return
    said = "archived" if lock["state"] == ARCHIVED else "signed"
    raise Conflict(
        f"{ref} is {said}: it does not change any more.",
        hint="Send an addendum: the new version and, in the same transaction, a Provenance that "
        "targets it, with the activity amend and a reason.",
        slug="signed",
        location=str(resource["resourceType"]),
    )


def _amends(change: Change, ref: str) -> bool:
    if isinstance(change, Delete) or change.resource.get("resourceType") != "Provenance":
        return False
    one = change.resource
    codes = [each.get("code") for each in one.get("activity", {}).get("coding", [])]
    reasons = [
        each.get("text", "").strip() or any(code.get("code") for code in each.get("coding", []))
        for each in one.get("reason", [])
    ]
    targets = [each.get("reference", "").partition("/_history/")[0] for each in one["target"]]
    return "amend" in codes and any(reasons) and ref in targets


def _same(store: Store, resource: dict[str, Any]) -> bool:
    standing = store.read(str(resource["resourceType"]), str(resource["id"]))
    if standing is None or standing.deleted:
        return False
    return bare_of(standing.type, standing.id, standing.body) == bare(resource)


def _only_completed(store: Store, new: Mapping[str, Any]) -> bool:
    """Whether a signed Provenance only got its time stamp: all of it as it was, and in the
    signature the same protected header and value."""
    from sokhoe.trust.signatures import jws

    standing = store.read("Provenance", str(new["id"]))
    if standing is None or standing.deleted:
        return False
    old = standing.resource
    try:
        before, after = (jws.read_data(one["signature"][0]["data"]) for one in (old, new))
        pairs = [({**one, "meta": None, "signature": None}) for one in (old, new)]
        rest = [[{**each, "data": None} for each in one["signature"]] for one in (old, new)]
        kept = all(decode(before)[name] == decode(after)[name] for name in _JWS)
        return kept and pairs[0] == pairs[1] and rest[0] == rest[1]
    except (Invalid, KeyError, IndexError, TypeError, ValueError):
        return False


_JWS = ("protected", "signature")


def _refuse_kept(ref: str, lock: Mapping[str, Any]) -> None:
    until = str(lock["until"])
    if until and clock.today() > date.fromisoformat(until):
        return
    raise Conflict(
        f"{ref} is signed and must be kept " + (f"until {until}." if until else "for ever."),
        hint=f"Rule: {lock['rule']}" if lock.get("rule") else "No rule lets it go.",
        slug="kept-by-law",
    )


def _refuse_held(store: Store, change: Delete) -> None:
    holds = store.all_kept(HOLD)
    if not holds:
        return
    refs = {_ref(change)}
    standing = store.read(change.type, change.id)
    if standing is not None and not standing.deleted:
        from sokhoe.fhir import compartments

        refs |= compartments(standing.resource)
    if refs & holds.keys():
        raise Conflict(
            f"{_ref(change)} is under legal hold and cannot be deleted.",
            hint="Whoever set the hold can release it.",
            slug="legal-hold",
        )


def _ref(change: Change) -> str:
    if isinstance(change, Delete):
        return f"{change.type}/{change.id}"
    return f"{change.resource['resourceType']}/{change.resource.get('id', '')}"

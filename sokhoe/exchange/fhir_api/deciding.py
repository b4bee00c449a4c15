"""What a write comes to: each `decide_…` looks up what it must and says what to commit.

    create   POST Type            If-None-Exist: query   → none: new · one: that one · more: 412
    update   PUT Type/id          If-Match, If-None-Match: *
    update   PUT Type?query       none: new · one: that one · more: 412
    patch    PATCH Type/id, PATCH Type?query
    delete   DELETE Type/id, DELETE Type?query (as the setting conditional_delete says)

A single request commits one decision, a transaction those of all its entries together. Between the
look-up and the commit somebody else may write; `carry_out_together` then decides anew. So two who
ask for "create if there is none" at the same time get one record
(hl7.org/fhir/R4/http.html#ccreate).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sokhoe.errors import Conflict, Forbidden, Gone, Invalid, NotFound
from sokhoe.exchange.fhir_api.calls import ID, new_id
from sokhoe.exchange.fhir_api.reception import form_pairs
from sokhoe.trust import Change, Delete, Put, Session, Still, Version

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
MOST_DELETED = 500  # by one conditional delete
TRIES = 20  # of a decision that others overtake

Resource = dict[str, Any]
Patch = Callable[[Resource], Resource]


@dataclass(frozen=True, slots=True)
class Decision:
    """One thing to write. `change` is None where nothing is to be: a conditional create that found
    its resource (`standing`), a conditional delete that found none. `still`: what must be found
    still. `mine`: the version demanded is the one we read, not one the client named."""

    type: str
    id: str
    change: Change | None
    standing: Version | None = None
    still: Still | None = None
    mine: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """A decision carried out: the version that stands now, and whether it is the resource's first
    since there was none; `version` is None for a deletion of what never was."""

    decision: Decision
    version: Version | None
    new: bool = False


def decide_create(session: Session, type: str, resource: Resource, condition: str = "") -> Decision:
    """A new resource under an id of ours, or the one that the condition finds."""
    check_type(resource, type)
    still = None
    if condition:
        found, still = session.match(type, pairs_of(condition))
        if one := only(type, condition, found):
            return Decision(type, one.id, None, one, still)
    resource["id"] = new_id()
    return Decision(type, resource["id"], Put(resource, if_version=0), still=still)


def decide_update(
    session: Session,
    type: str,
    id: str,
    resource: Resource,
    if_match: str | None = None,
    if_none_match: str | None = None,
) -> Decision:
    check_type(resource, type)
    check_id(resource, id)
    wanted = demanded(session, type, id, if_match)
    if if_none_match is not None:
        if if_none_match.strip() != "*":
            raise Invalid(
                "For a write If-None-Match can only be *, that is: only if there is none.",
                slug="etag",
                location="If-None-Match",
            )
        wanted = 0
    return Decision(type, id, Put(resource, if_version=wanted))


def decide_update_by(
    session: Session, type: str, condition: str, resource: Resource, if_match: str | None = None
) -> Decision:
    """hl7.org/fhir/R4/http.html#cond-update: the table of what is found and which id is given."""
    check_type(resource, type)
    found, still = session.match(type, pairs_of(condition))
    one, id = only(type, condition, found), resource.get("id")
    if one is not None:
        if id not in {None, one.id}:
            raise Invalid(
                f"The condition finds {one.ref}, the body's id is {id!r}.",
                hint="Leave the id out, or send that one.",
                slug="condition",
                location="id",
            )
        resource["id"] = one.id
        wanted = demanded(session, type, one.id, if_match)
        return Decision(type, one.id, Put(resource, if_version=wanted), still=still)
    if if_match is not None:
        raise _stale(f"{type}?{condition} finds nothing, so no version of it can be replaced.")
    if id is None:
        resource["id"] = new_id()
        return Decision(type, resource["id"], Put(resource, if_version=0), still=still)
    check_id(resource, id if isinstance(id, str) else "")
    if _stands(session, type, id):
        raise Conflict(
            f"The condition finds nothing, but there is a {type}/{id}.",
            hint="Leave the id out to create another, or correct the condition.",
            slug="id-taken",
        )
    return Decision(type, id, Put(resource, if_version=0), still=still)


def decide_patch(
    session: Session, type: str, id: str, patch: Patch, if_match: str | None = None
) -> Decision:
    """The standing version, patched; the commit demands that it is still the standing one."""
    wanted = demanded(session, type, id, if_match)
    version = session.read(type, id)
    if wanted not in {None, version.version}:
        raise _stale(f"{version.ref} is at version {version.version}, not {wanted}.")
    before = version.resource
    after = patch(before)
    if not isinstance(after, dict) or after.get("resourceType") != type or after.get("id") != id:
        raise Invalid(
            "A patch may not change what the resource is, nor its id.",
            slug="patch-misfit",
            status=422,
            code="business-rule",
            location="id",
        )
    put = Put(without_stale_text(before, after), if_version=version.version)
    return Decision(type, id, put, mine=wanted is None)


def decide_patch_by(
    session: Session, type: str, condition: str, patch: Patch, if_match: str | None = None
) -> Decision:
    found, still = session.match(type, pairs_of(condition))
    one = only(type, condition, found)
    if one is None:
        raise NotFound(f"{type}?{condition} finds nothing to patch.")
    return replace(decide_patch(session, type, one.id, patch, if_match), still=still)


def decide_delete(session: Session, type: str, id: str, if_match: str | None = None) -> Decision:
    if not ID.match(id):
        raise NotFound(f"{id[:80]!r} cannot be the id of anything.")
    return Decision(type, id, Delete(type, id, if_version=demanded(session, type, id, if_match)))


def decide_delete_by(
    session: Session, type: str, condition: str, setting: str, if_match: str | None = None
) -> list[Decision]:
    """None, one or (where the setting allows) all that the condition finds."""
    if setting not in {"single", "multiple"}:
        raise Forbidden(
            "Conditional delete is switched off on this server.",
            hint="Search, then delete each by its id; or set conditional_delete.",
            slug="conditional-delete",
            status=405,
            code="not-supported",
        )
    most = MOST_DELETED if setting == "multiple" else 1
    found, still = session.match(type, pairs_of(condition), most)
    if setting == "single":
        only(type, condition, found)
    elif len(found) > most:
        raise Invalid(
            f"{type}?{condition} finds more than {most} resources.",
            hint="Make the condition narrower and delete in several steps.",
            slug="too-costly",
            status=413,
            code="too-costly",
        )
    if if_match is not None and len(found) != 1:
        raise _stale(f"{type}?{condition} finds {len(found)} resources, and If-Match means one.")
    decisions = [decide_delete(session, type, one.id, if_match) for one in found]
    return [replace(one, still=still) for one in decisions] or [
        Decision(type, "", None, still=still)
    ]


def carry_out_together(session: Session, decide: Callable[[], Sequence[Decision]]) -> list[Done]:
    """Decide and commit; when somebody wrote in between, decide anew on what is there now.

    Raises what `decide` raises, and Conflict when others were faster every time.
    """
    for left in reversed(range(TRIES)):
        decisions = decide()
        try:
            return _commit(session, decisions)
        except Conflict as error:
            mine = error.slug == "version-conflict" and any(one.mine for one in decisions)
            if not left or not (mine or error.slug == "condition-changed"):
                raise
    raise AssertionError("the last try raises")


def _commit(session: Session, decisions: Sequence[Decision]) -> list[Done]:
    changes = [one.change for one in decisions if one.change is not None]
    if not changes:
        return [Done(one, one.standing) for one in decisions]
    stills = list({id(one.still): one.still for one in decisions if one.still is not None}.values())
    receipt = session.commit(changes, stills=stills)
    written = iter(zip(receipt.versions, receipt.changed, strict=True))
    done = []
    for one in decisions:
        if one.change is None:
            done.append(Done(one, one.standing))
            continue
        version, changed = next(written)
        # a resource that was deleted comes to life again with a later version than 1
        new = changed and isinstance(one.change, Put) and version.version == 1
        done.append(Done(one, version if version.version else None, new))
    return done


def pairs_of(condition: str) -> list[tuple[str, str]]:
    """A query as pairs. Raises Invalid for an empty one, which would fit everything."""
    pairs = form_pairs(condition.strip().lstrip("?").encode())
    if not pairs:
        raise Invalid(
            "The condition is empty.",
            hint="Write search parameters, for example identifier=system|value.",
            slug="condition",
        )
    return pairs


def only(type: str, condition: str, found: Sequence[Version]) -> Version | None:
    """The one that was found, None for none. Raises Conflict (412) for several."""
    if len(found) > 1:
        raise Conflict(
            f"{type}?{condition} fits more than one resource.",
            hint="Make the condition narrower.",
            slug="several-match",
            status=412,
            code="multiple-matches",
        )
    return found[0] if found else None


def demanded(session: Session, type: str, id: str, header: str | None) -> int | None:
    """The version that `If-Match: W/"3"` demands; None where nothing is demanded.

    `*` demands that there is one, several tags that it is one of them (RFC 9110 §13.1.1).
    """
    if header is None:
        return None
    tags = [tag.strip() for tag in header.split(",")]
    numbers = {int(tag) for tag in map(_bare, tags) if _NUMBER.fullmatch(tag)}
    if len(tags) == 1 and len(numbers) == 1:
        return numbers.pop()
    if tags != ["*"] and len(numbers) < len(tags):
        raise Invalid(
            f"If-Match {header[:80]!r} is not a version of this server.",
            hint='Send the ETag of the last read, for example W/"3".',
            slug="etag",
            status=412,
            code="conflict",
            location="If-Match",
        )
    try:
        standing = session.read(type, id).version
    except (NotFound, Gone):
        raise _stale(f"There is no {type}/{id}, so no version of it can be replaced.") from None
    if tags != ["*"] and standing not in numbers:
        raise _stale(f"{type}/{id} is at version {standing}, which is not one of {header}.")
    return standing


def check_type(resource: Resource, type: str) -> None:
    if resource.get("resourceType") != type:
        raise Invalid(
            f"The body is a {resource.get('resourceType')!r}, the address says {type}.",
            location="resourceType",
        )
    meta = resource.get("meta")
    tags = meta.get("tag") if isinstance(meta, dict) else None
    if isinstance(tags, list) and any(
        isinstance(one, dict) and one.get("code") == "SUBSETTED" for one in tags
    ):
        raise Invalid(
            "This is a part of a record (SUBSETTED); storing it would lose the rest.",
            hint="Read it without _summary and _elements, and send it whole.",
            slug="subsetted",
            status=422,
            code="business-rule",
            location="meta.tag",
        )


def check_id(resource: Resource, id: str) -> None:
    if not ID.match(id):
        raise Invalid(
            f"{id[:80]!r} cannot be an id: 1 to 64 of the letters A-Z a-z, digits, '-' and '.'.",
            location="id",
            code="value",
        )
    if resource.get("id") != id:
        raise Invalid(
            f"The body's id is {resource.get('id')!r}, the address says {id!r}.", location="id"
        )


def without_stale_text(before: Resource, after: Resource) -> Resource:
    """A patch that leaves the narrative as it was would leave it telling the old story, which R4
    forbids: one made from the data is dropped, one that says more than the data stops the patch.
    """
    text = after.get("text")
    if not isinstance(text, dict) or text != before.get("text"):
        return after
    rest = {key: value for key, value in after.items() if key not in {"text", "meta"}}
    if all(before.get(key) == value for key, value in rest.items()) and (
        rest.keys() == before.keys() - {"text", "meta"}
    ):
        return after
    if text.get("status") == "additional":
        raise Invalid(
            "The narrative says more than the data, and the patch does not change it.",
            hint="Patch /text as well, or replace the resource by PUT.",
            slug="narrative",
            status=422,
            code="business-rule",
            location=f"{after.get('resourceType')}.text",
        )
    return {key: value for key, value in after.items() if key != "text"}


def _stands(session: Session, type: str, id: str) -> bool:
    try:
        session.read(type, id)
    except (NotFound, Gone):
        return False
    return True


def _bare(tag: str) -> str:
    return tag.removeprefix("W/").strip('"')


def _stale(message: str) -> Conflict:
    return Conflict(
        message,
        hint="Read it again, look at what changed, and send the change on top of that.",
        slug="version-conflict",
        status=412,
        location="If-Match",
    )

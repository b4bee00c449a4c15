"""`$export` as a job: first what is meant is fixed, then the log is swept, then files are closed.

    1  plan      patients of the group, records that the filters mean, the point of the log
    2  sweep     windows of the log into NDJSON, one file of each type (more when it is long)
    3  deleted   with `_since`: the same over what was deleted
    4  finish    files get their names and checksums; the manifest is ready

What 1 finds lies in the job's folder, what 2 and 3 have done stands in the mark, so that a crash
costs the last window only. Rules: hl7.org/fhir/uv/bulkdata/export.html (2.0).
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sokhoe import clock
from sokhoe.errors import Invalid, NotFound, SokhoeError
from sokhoe.exchange.jobs.files import Folder, Piece, as_mark, from_mark
from sokhoe.fhir import decode, encode, subset
from sokhoe.trust import Choice, Job, Jobs, Session, State, Sweep, Swept

SLICE = 0.4  # seconds of one step
WINDOW = 10_000
MOST_MEMBERS = 1_000_000
MOST_GROUPS = 100  # groups within groups
MOST_DELETES = 500  # in one Bundle of the list of deletions
DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Plan:
    """What one export takes. `elements`: by type ("*": of every type) the elements to show."""

    sweep: Sweep
    elements: Mapping[str, frozenset[str]]


class Export:
    """The kind of job. `ask` of a job:

    level      system, patient or group
    group      id of the group
    types      list of types, or None for all that the client may read
    since      instant in microseconds, 0 for ever
    filters    [type, [[parameter, value], …]]
    elements   {type or "*": [name, …]}
    patients   list of Patient/x, or None
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._plans: dict[str, Plan] = {}

    def step(self, job: Job, session: Session, folder: Folder) -> Job:
        if not job.mark:
            return self._begin(job, session, folder)
        plan = self._plans.get(job.id) or _load(job, folder)
        self._plans = {job.id: plan}
        until = time.monotonic() + SLICE
        while not _swept(job):
            job = self._window(job, session, folder, plan)
            if time.monotonic() > until:
                break
        return self._finish(job, folder) if _swept(job) else job

    def drop(self, job: Job) -> None:
        self._plans.pop(job.id, None)

    # -- 1 ---------------------------------------------------------------------------------

    def _begin(self, job: Job, session: Session, folder: Folder) -> Job:
        ask = job.ask
        patients = _patients(session, ask)
        may = session.exportable(ask["types"])
        filters = [
            (type, [(name, value) for name, value in pairs]) for type, pairs in ask["filters"]
        ]
        point = session.point(ask["since"])
        choice = Choice()
        if filters:
            end, choice = session.choose(filters, job.id)
            # between the two looks something may have been written: it is not part of the choice
            point = replace(point, upto=end.upto, at=end.at)
        kept = {
            "types": sorted(may.types),
            "patients": None if patients is None else sorted(patients),
            "open": sorted(may.open) if ask["level"] == "system" else [],
            "chosen": sorted(choice.types),
        }
        folder.keep("plan.json", encode(kept))
        folder.keep("chosen.bin", choice.numbers.tobytes())
        mark = {
            "first": point.after,
            "upto": point.upto,
            "at": point.at,
            "after": point.after,
            "deleted": False,
            "files": [],
        }
        rounds = 2 if ask["since"] else 1
        return self._jobs.save(job, mark=mark, total=max(1, rounds * (point.upto - point.after)))

    # -- 2 and 3 ---------------------------------------------------------------------------

    def _window(self, job: Job, session: Session, folder: Folder, plan: Plan) -> Job:
        mark = dict(job.mark)
        wanted = plan.sweep
        if mark["deleted"]:
            wanted = replace(wanted, deleted=True, choice=Choice())
        swept = session.sweep(wanted, mark["after"], job.id)
        files = from_mark(mark["files"])
        for type, lines in _lines(swept, plan.elements, deleted=mark["deleted"]):
            at = _current(files, type)
            files[at] = folder.add(files[at], lines)
        done = job.done + swept.reach - mark["after"]
        mark |= {"after": swept.reach, "files": as_mark(files)}
        if swept.reach >= mark["upto"] and job.ask["since"] and not mark["deleted"]:
            mark |= {"after": mark["first"], "deleted": True}
        return self._jobs.save(job, mark=mark, done=done)

    # -- 4 ---------------------------------------------------------------------------------

    def _finish(self, job: Job, folder: Folder) -> Job:
        finished = [folder.finish(one) for one in from_mark(job.mark["files"])]
        self._plans.pop(job.id, None)
        result = {"at": job.mark["at"], "files": as_mark(finished)}
        return self._jobs.save(job, state=State.COMPLETED, result=result, mark={}, done=job.total)


def _swept(job: Job) -> bool:
    mark = job.mark
    last = mark["deleted"] or not job.ask["since"]
    return bool(mark["after"] >= mark["upto"] and last)


def _load(job: Job, folder: Folder) -> Plan:
    kept, chosen = folder.kept("plan.json"), folder.kept("chosen.bin")
    if kept is None or chosen is None:
        raise SokhoeError("The plan of this export is gone.", slug="job-file", status=500)
    plan = decode(kept)
    numbers = array("q")
    numbers.frombytes(chosen)
    patients = plan["patients"]
    sweep = Sweep(
        types=frozenset(plan["types"]),
        upto=job.mark["upto"],
        patients=None if patients is None else frozenset(patients),
        own=job.ask["level"] != "system",
        open=frozenset(plan["open"]),
        since=job.ask["since"],
        choice=Choice(frozenset(plan["chosen"]), numbers),
        window=WINDOW,
    )
    elements = {type: frozenset(names) for type, names in job.ask["elements"].items()}
    return Plan(sweep, elements)


def _patients(session: Session, ask: Mapping[str, Any]) -> frozenset[str] | None:
    """The patients meant; None for all."""
    named = None if ask["patients"] is None else frozenset(ask["patients"])
    if ask["level"] != "group":
        return named
    found = members(session, ask["group"])
    if named is None:
        return found
    if not named <= found:
        strangers = ", ".join(sorted(named - found)[:3])
        raise Invalid(
            f"Not a member of Group/{ask['group']}: {strangers}.", location="patient", status=422
        )
    return named


def members(session: Session, group: str) -> frozenset[str]:
    """The patients of a group, those of groups within it too; nobody who is inactive in it.
    Raises NotFound for the group itself; a group within it that cannot be read adds nobody."""
    found: set[str] = set()
    seen, waiting = {group}, [group]
    while waiting:
        id = waiting.pop()
        try:
            resource = session.read("Group", id).resource
        except NotFound:
            if id == group:
                raise
            continue
        for member in resource.get("member", []):
            reference = str(member.get("entity", {}).get("reference", ""))
            type, _, inner = reference.partition("/")
            if member.get("inactive") is True or not inner:
                continue
            if type == "Patient":
                found.add(reference)
            elif type == "Group" and inner not in seen:
                seen.add(inner)
                waiting.append(inner)
        if len(found) > MOST_MEMBERS or len(seen) > MOST_GROUPS:
            raise Invalid(
                f"Group/{group} has more than {MOST_MEMBERS:,} members or {MOST_GROUPS} groups.",
                slug="too-costly",
                code="too-costly",
            )
    return frozenset(found)


def _current(files: list[Piece], type: str) -> int:
    """Which file takes the next lines of a type; a new one when the last is full."""
    of_type = [at for at, one in enumerate(files) if one.type == type]
    if of_type and not files[of_type[-1]].full:
        return of_type[-1]
    files.append(Piece(f"{type}.{len(of_type) + 1}.ndjson", type))
    return len(files) - 1


def _lines(
    swept: Swept, elements: Mapping[str, frozenset[str]], *, deleted: bool
) -> Iterator[tuple[str, list[bytes]]]:
    """Lines by the file they belong to."""
    if deleted:
        refs = [f"{type}/{id}" for type, id, _ in swept.taken]
        if refs:
            starts = range(0, len(refs), MOST_DELETES)
            yield DELETED, [_deletions(refs[at : at + MOST_DELETES]) for at in starts]
        return
    by_type: dict[str, list[bytes]] = {}
    for type, _, body in swept.taken:
        by_type.setdefault(type, []).append(body)
    for type, lines in by_type.items():
        wanted = elements.get(type, elements.get("*"))
        if wanted is not None:
            yield type, [encode(subset(decode(line), wanted)) for line in lines]
        else:
            yield type, lines


def _deletions(refs: list[str]) -> bytes:
    entries = [{"request": {"method": "DELETE", "url": ref}} for ref in refs]
    return encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def manifest(job: Job, address: str) -> dict[str, Any]:
    """The manifest of a finished export; `address` is where its files are."""
    files = [(one, f"{address}/{one.name}") for one in from_mark(job.result["files"])]

    def listed(one: Piece, url: str) -> dict[str, Any]:
        type = "Bundle" if one.type == DELETED else one.type
        extension = {"urn:sokhoe:sha256": one.digest, "urn:sokhoe:bytes": one.plain}
        return {"type": type, "url": url, "count": one.lines, "extension": extension}

    return {
        "transactionTime": clock.iso(job.result["at"]),
        "request": job.request,
        "requiresAccessToken": True,
        "output": [listed(one, url) for one, url in files if one.type != DELETED],
        "deleted": [listed(one, url) for one, url in files if one.type == DELETED],
        "error": [],
    }

"""The signing desk of a server: sign a visit, all of a day, a day's audit; complete what waits;
tell how a signature stands.

    drawer `stamp`  Provenance id → {at, why}: signed, waiting for its time stamp
    drawer `paper`  digest of the code on a paper → Provenance id
    drawer `seal`   day → Provenance id of the organisation's seal over that day's audit

A signature is a Provenance; what it covers is locked in the same commit (sokhoe/trust/locks.py).
"""

from __future__ import annotations

from base64 import b32encode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from sokhoe import clock
from sokhoe.errors import Conflict, Invalid, NotFound, SokhoeError, Unavailable
from sokhoe.settings import Settings
from sokhoe.store import Keep, Put, Store, Version, bare_of
from sokhoe.trust import locks
from sokhoe.trust.auditlog import AuditLog
from sokhoe.trust.gate import Gate
from sokhoe.trust.keeping import KeepAll, Retention
from sokhoe.trust.session import Session
from sokhoe.trust.signatures import jws
from sokhoe.trust.signatures.anchors import Anchors, read_anchors
from sokhoe.trust.signatures.completing import complete_jws
from sokhoe.trust.signatures.judging import Judge, online
from sokhoe.trust.signatures.seam import Signer, Status, Verdict

STAMP, PAPER, SEAL = "stamp", "paper", "seal"
BATCH = 100  # signatures asked of a device at once
CODE_LETTERS = 26  # of five bits each: 130 bits
AUTHOR = ("1.2.840.10065.1.12.1.1", "Author's Signature")
SOURCE = ("1.2.840.10065.1.12.1.14", "Source Signature")
_TYPES = "urn:iso-astm:E1762-95:2013"
_ROLE = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_DONE = "http://terminology.hl7.org/CodeSystem/v3-DocumentCompletion"


@dataclass(frozen=True, slots=True)
class Signed:
    """What came of one document of a batch: the reference of its Provenance and the code for its
    paper, or the error."""

    refs: tuple[str, ...]
    provenance: str = ""
    code: str = ""
    error: SokhoeError | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """How a signature stands. `code`: the one on its paper; `later`: records of it that have a
    newer version than was signed (an addendum); `role`: what the signer is, as the audit says."""

    verdict: Verdict
    provenance: str
    code: str = ""
    targets: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    role: str = ""
    place: str = ""


class Desk:
    def __init__(
        self, store: Store, settings: Settings, anchors: Anchors, retention: Retention
    ) -> None:
        self._store = store
        self._settings = settings
        self._retention = retention
        self.anchors = anchors

    # -- signing ---------------------------------------------------------------------------

    def sign(self, session: Session, refs: Sequence[str], signer: Signer) -> Signed:
        """Sign these records together. Raises what went wrong."""
        made = self.sign_many(session, [refs], signer)[0]
        if made.error is not None:
            raise made.error
        return made

    def sign_many(
        self,
        session: Session,
        documents: Sequence[Sequence[str]],
        signer: Signer,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[Signed]:
        """Sign many documents, each a group of references, with one unlocked key. One that cannot
        be signed does not stop the others; what each became stands in the order given."""
        found: list[Signed] = []
        for start in range(0, len(documents), BATCH):
            found += self._some(session, documents[start : start + BATCH], signer)
            progress(len(found), len(documents))
        return found

    def seal_day(self, session: Session, signer: Signer) -> Signed:
        """The organisation's signature over the audit as it stands: one for each day, the last of
        a day counts. The checkpoint is kept as a Binary, the signature as its Provenance."""
        note = AuditLog(self._store).grow()
        if not note:
            raise Conflict("There is no audit line to seal yet.", slug="signature")
        day = f"{clock.today()}"
        binary = {
            "resourceType": "Binary",
            "id": str(uuid4()),
            "contentType": "text/plain",
            "data": b64encode(note.encode()).decode(),
        }
        session.commit([Put(binary, 0)], note=f"audit checkpoint of {day}")
        ref = f"Binary/{binary['id']}"
        made = self._some(session, [[ref]], signer, kind=SOURCE, keep=day)[0]
        if made.error is not None:
            raise made.error
        return made

    def _some(
        self,
        session: Session,
        documents: Sequence[Sequence[str]],
        signer: Signer,
        *,
        kind: tuple[str, str] = AUTHOR,
        keep: str = "",
    ) -> list[Signed]:
        found: dict[int, Signed] = {}
        ready: dict[int, tuple[list[Version], jws.Draft]] = {}
        for number, refs in enumerate(documents):
            try:
                versions = _read(session, refs)
                targets = {_named(one): bare_of(one.type, one.id, one.body) for one in versions}
                ready[number] = versions, jws.draft(targets, signer.chain, signer.algorithm)
            except SokhoeError as error:
                found[number] = Signed(tuple(refs), error=error)
        try:
            raw = signer.sign([draft.payload for _, draft in ready.values()]) if ready else []
        except SokhoeError as error:
            return [
                found.get(number) or Signed(tuple(refs), error=error)
                for number, refs in enumerate(documents)
            ]
        for (number, (versions, draft)), value in zip(ready.items(), raw, strict=True):
            refs = tuple(documents[number])
            try:
                data = draft.signed(value)
                found[number] = self._keep(session, refs, versions, data, kind, keep)
            except SokhoeError as error:
                found[number] = Signed(refs, error=error)
        return [found[number] for number in range(len(documents))]

    def _keep(
        self,
        session: Session,
        refs: tuple[str, ...],
        versions: Sequence[Version],
        data: bytes,
        kind: tuple[str, str],
        day: str,
    ) -> Signed:
        id, code = str(uuid4()), code_of(data)
        resource = _provenance(id, session, [_named(one) for one in versions], data, kind)
        keeps = [
            *self._closing(versions, f"Provenance/{id}"),
            Keep(STAMP, id, {"at": clock.now(), "why": ""}),
            Keep(PAPER, _drawer(code), id),
            *([Keep(SEAL, day, id)] if day else ()),
        ]
        session.commit([Put(resource, 0)], note="signed", keeps=keeps)
        return Signed(refs, f"Provenance/{id}", code)

    def _closing(self, versions: Sequence[Version], by: str) -> list[Keep]:
        """What locks these records, for as long as the rule for them says."""
        today = clock.today()
        rule = self._retention.rule([one.resource for one in versions], today)
        until = rule.until(today) if rule is not None else None
        said = f"{rule.kind}: {rule.source}" if rule is not None else ""
        signed = {one.ref: one.version for one in versions}
        return locks.closing(self._store, signed, by, str(until or ""), said)

    def is_signed(self, ref: str) -> bool:
        return self._store.kept(locks.LOCKED, ref) is not None

    # -- completing ------------------------------------------------------------------------

    def waiting(self) -> dict[str, Any]:
        """Provenance id → {at, why} of what waits for its time stamp."""
        return self._store.all_kept(STAMP)

    def complete(self, session: Session, limit: int = 50) -> int:
        """Have what waits stamped, the oldest first; how many were. Stops, and raises Unavailable,
        when a service does not answer; what will never be good is kept aside with the reason."""
        waiting = [(one["at"], id) for id, one in self.waiting().items() if not one["why"]]
        done = 0
        for _, id in sorted(waiting)[:limit]:
            held = self._store.kept(STAMP, id)
            found = self._store.read("Provenance", id)
            if held is None or found is None or found.deleted:
                self._store.keep(Keep(STAMP, id, None))
                continue
            resource = found.resource
            signature = resource["signature"][0]
            try:
                data = jws.read_data(signature["data"])
                url = self._settings.timestamp_url
                full = complete_jws(data, url, self.anchors)
            except Unavailable:
                raise
            except SokhoeError as error:
                self._store.keep(Keep(STAMP, id, {**held, "why": error.message}))
                continue
            signature["data"] = b64encode(full).decode()
            put = Put(resource, found.version)
            try:
                session.commit([put], note="time-stamped", keeps=[Keep(STAMP, id, None)])
            except Conflict:  # another process was first
                continue
            done += 1
        return done

    def take_in(self) -> int:
        """Look at signatures that came with a commit (by mail, by FHIR): what one that is good
        covers is locked here too, and is completed where it was not. How many were looked at."""
        arrived = list(self._store.all_kept(locks.SIGNED))
        for id in arrived:
            self._store.keep(*self._arrived(id), Keep(locks.SIGNED, id, None))
        return len(arrived)

    def _arrived(self, id: str) -> list[Keep]:
        ref = f"Provenance/{id}"
        version = self._store.read("Provenance", id)
        if version is None or version.deleted or self._store.kept(locks.LOCKED, ref):
            return []
        found = self._check(version)
        if not found.verdict.accepted or not found.code:
            return []
        data = jws.read_data(version.resource["signature"][0]["data"])
        names = [target.partition("/_history/")[0] for target in found.targets]
        records = list(self._store.read_many(names).values())
        keeps = self._closing(records, ref)
        keeps.append(Keep(PAPER, _drawer(found.code), id))
        if jws.read(data).token is None and self._settings.timestamp_url:
            keeps.append(Keep(STAMP, id, {"at": clock.now(), "why": ""}))
        return keeps

    # -- checking --------------------------------------------------------------------------

    def check(self, session: Session, id: str, *, ask: bool = False) -> Found:
        """How a signature stands, for who may read its Provenance. `ask`: ask authorities over the
        line for what was not kept with it. Raises NotFound, Forbidden."""
        return self._check(session.read("Provenance", id), ask=ask)

    def paper(self, session: Session, code: str) -> Found:
        """How the signature of a paper's code stands. Raises NotFound for a code that is none."""
        id = self._store.kept(PAPER, _drawer(code)) if _is_code(code) else None
        version = self._store.read("Provenance", str(id)) if id else None
        if version is None or version.deleted:
            session.note("E", "", "a paper's code that is none", outcome="4")
            raise NotFound("No paper of ours has this code.", slug="no-paper")
        session.note("E", version.ref, "a signature was checked by its paper's code")
        return self._check(version)

    def _check(self, version: Version, *, ask: bool = False) -> Found:
        resource = version.resource
        try:
            signature = _only(resource["signature"])
            data = jws.read_data(signature["data"])
            parts = jws.read(data)
        except (SokhoeError, KeyError, TypeError, ValueError, AttributeError) as error:
            why = f"Not a signature by our rule ({error})."[:300]
            return Found(Verdict(Status.BROKEN, why=why), version.ref)
        held = {ref: self._bytes(ref, digest) for ref, digest in parts.targets.items()}
        judge = online(self.anchors) if ask else Judge(self.anchors)
        checked = jws.verify(data, held.get, judge)
        verdict = checked.verdict
        named = [one.get("reference") for one in resource.get("target", [])]
        if sorted(map(str, named)) != sorted(parts.targets) and verdict.accepted:
            why = "The Provenance names other records than were signed."
            verdict = Verdict(Status.CHANGED, why=why)
        agent: dict[str, Any] = next(iter(resource.get("agent", [])), {})
        role: dict[str, Any] = next(iter(agent.get("role", [])), {})
        return Found(
            verdict,
            version.ref,
            code_of(data),
            checked.targets,
            checked.changed,
            tuple(ref for ref, body in held.items() if body and not self._stands(ref, body)),
            str(role.get("text", "")),
            str(agent.get("onBehalfOf", {}).get("display", "")),
        )

    def _bytes(self, ref: str, digest: bytes) -> bytes | None:
        """The stored bytes that a reference with a version means: of that version, or, where they
        are numbered otherwise (a hub), of the version with this very content."""
        name, _, number = ref.partition("/_history/")
        type, id = name.split("/")
        one = self._store.read(type, id, int(number))
        first = bare_of(type, id, one.body) if one is not None and not one.deleted else None
        if first is not None and sha256(first).digest() == digest:
            return first
        for other in self._store.history(type, id, count=50).versions:
            if other.deleted:
                continue
            body = bare_of(type, id, other.body)
            if sha256(body).digest() == digest:
                return body
        return first

    def _stands(self, ref: str, body: bytes) -> bool:
        type, id = ref.partition("/_history/")[0].split("/")
        now = self._store.read(type, id)
        return now is not None and not now.deleted and bare_of(type, id, now.body) == body


def open_desk(gate: Gate, settings: Settings, retention: Retention | None = None) -> Desk:
    """The desk of a server, with the authorities that its settings name."""
    return Desk(gate.memory, settings, anchors_of(settings), retention or KeepAll())


def anchors_of(settings: Settings) -> Anchors:
    """The authorities that a server's settings name."""
    folder = Path(settings.trust_anchors) if settings.trust_anchors else settings.folder / "anchors"
    return read_anchors(folder)


def code_of(data: bytes) -> str:
    """The code on a paper: 130 bits of the hash of its signature, the same at every server, known
    only to who has the signature."""
    value = sha256(b"sokhoe paper\n" + jws.stamped_of(data)).digest()
    return b32encode(value).decode()[:CODE_LETTERS]


def _is_code(code: str) -> bool:
    return len(code) == CODE_LETTERS and code.isascii() and code.isalnum()


def _drawer(code: str) -> str:
    return sha256(code.upper().encode()).hexdigest()[:32]


def _read(session: Session, refs: Sequence[str]) -> list[Version]:
    found = {one.ref: one for one in session.read_many(refs)}
    missing = [ref for ref in refs if ref not in found]
    if missing or not refs:
        raise NotFound(f"There is no {missing[0] if missing else 'record to sign'}.")
    return [found[ref] for ref in dict.fromkeys(refs)]


def _named(one: Version) -> str:
    return f"{one.ref}/_history/{one.version}"


def _only(signatures: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    if len(signatures) != 1 or signatures[0].get("sigFormat") != jws.FORMAT:
        raise Invalid("just one JWS")
    return signatures[0]


def _provenance(
    id: str, session: Session, targets: Sequence[str], data: bytes, kind: tuple[str, str]
) -> dict[str, Any]:
    actor = session.actor
    who = {"reference": actor.id, "display": actor.name}
    now = clock.iso(clock.now())
    agent: dict[str, Any] = {
        "type": {"coding": [{"system": _ROLE, "code": "attester"}]},
        "role": [{"text": str(actor.role)}],
        "who": who,
    }
    if actor.place:
        agent["onBehalfOf"] = {"reference": actor.place}
        if actor.place_name:
            agent["onBehalfOf"]["display"] = actor.place_name
    signature = {
        "type": [{"system": _TYPES, "code": kind[0], "display": kind[1]}],
        "when": now,
        "who": who,
        "targetFormat": jws.TARGET_FORMAT,
        "sigFormat": jws.FORMAT,
        "data": b64encode(data).decode(),
    }
    return {
        "resourceType": "Provenance",
        "id": id,
        "target": [{"reference": one} for one in targets],
        "recorded": now,
        "activity": {"coding": [{"system": _DONE, "code": "LA"}]},
        "agent": [agent],
        "signature": [signature],
    }

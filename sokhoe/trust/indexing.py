"""What a session may do about the index: define search parameters, and have it made anew.

Who may write SearchParameter shapes what everybody searches by, so the same right lets him have
records compared with the index (`$reindex`), of the types that he may read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sokhoe.errors import Forbidden
from sokhoe.fhir import TYPES, search
from sokhoe.store import Keep, Mended, Reindex, Store
from sokhoe.trust.permits import AUDIT, Deed

if TYPE_CHECKING:
    from collections.abc import Callable

    from sokhoe.trust.session import Session

TYPE = "SearchParameter"


def check(resource: Mapping[str, Any], parameters: search.SearchParameters) -> None:
    """Whether an active SearchParameter can be used here. Raises Invalid, Unsupported, Conflict,
    each naming the element; one that is not active may say what it likes."""
    if search.is_active_parameter(resource):
        search.read_parameter(resource, parameters)


def allowed(session: Session, types: Iterable[str] | None) -> frozenset[str] | None:
    """The types whose index this session may have looked at (None: all). Raises Forbidden."""
    wanted = frozenset(types) if types is not None else None
    asked = wanted if wanted is not None else TYPES - AUDIT
    bad = next((one for one in sorted(asked) if not session.may(Deed.READ, one)), None)
    if bad is not None or not session.may(Deed.WRITE, TYPE):
        raise Forbidden(
            f"To have the index of {bad or 'records'} made anew needs the right to read them and "
            f"to write {TYPE}.",
            hint=f"Ask the province for system/{bad or TYPE}.{'rs' if bad else 'cud'}.",
            slug="scope-missing",
        )
    return wanted


def step(
    session: Session,
    store: Store,
    types: Iterable[str] | None,
    id: str,
    *,
    upto: int,
    after: int,
    mend: bool = True,
    noting: Callable[[Mended], Sequence[Keep]] = lambda done: (),
) -> Mended:
    """The next records behind number `after`; `noting`: what is kept with it."""

    def shown(done: Mended) -> Mended:
        """Of a record that the session may not see only the type is told."""
        told = tuple(replace(one, ref=_name(session, store, one.ref)) for one in done.differences)
        return replace(done, differences=told)

    wanted = allowed(session, types)
    refs = frozenset({f"{next(iter(wanted))}/{id}"}) if wanted and id else frozenset[str]()
    done = store.reindex(Reindex(wanted, upto, refs, mend), after, lambda raw: noting(shown(raw)))
    return shown(done)


def _name(session: Session, store: Store, ref: str) -> str:
    type, _, id = ref.partition("/")
    version = store.read(type, id) if id else None
    return ref if version is not None and session.sees(version) else type

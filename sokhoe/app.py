"""The one place that joins the rooms: settings → store → gate → site → routes and followers.

Followers run in threads of the serving process, or of one beside it (`sokhoe.ops.crew`): each takes
what is new on the feed, and sleeps until there is more. One that fails says so in the log and in
`/health`, waits and tries again; the others go on. Of several processes on one memory one leads.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sokhoe import __version__, clock, country
from sokhoe.country import Pack
from sokhoe.errors import Invalid, NotFound, SokhoeError
from sokhoe.settings import Settings
from sokhoe.store import Keep, Lead, Store
from sokhoe.trust import Gate, Sealer, open_memory, signing
from sokhoe.web import Ask, Packing, Site, Texts, make_templates, page

log = logging.getLogger("sokhoe")

# Which rooms a role opens. Order matters for the menu only.
EVERYWHERE = ("web", "exchange")
ROOMS: dict[str, tuple[str, ...]] = {
    "station": (*EVERYWHERE, "clinic", "sync"),
    "hub": (*EVERYWHERE, "people", "sync", "clinic", "book", "warehouse"),
}
ALL_ROOMS = ("web", "people", "sync", "exchange", "clinic", "book", "warehouse")
PAUSE = 1.0  # seconds a follower sleeps at most before it looks again
GATHER = 0.1  # seconds in which news are let come together
AFTER_FAILURE = 5.0


class Follower(Protocol):
    name: str

    def step(self) -> bool:
        """Do one batch; True when there may be more at once."""


class Runner(threading.Thread):
    """Keeps one follower going until it is told to stop, as long as this process leads.

    Its last failure stands in the drawer `follower`, for `/health` of whichever process is asked.
    """

    def __init__(self, follower: Follower, store: Store, lead: Lead) -> None:
        super().__init__(name=f"follower-{follower.name}", daemon=True)
        self.follower = follower
        self._store = store
        self._lead = lead
        self._failure: Any = None
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            try:
                if not self._lead.held():
                    self._over.wait(PAUSE)
                    continue
                head = self._store.head()
                more = self.follower.step()
                self._say("")
                if not more and not self._over.is_set():
                    self._store.wait(head, PAUSE)
                    # one look for all that is written in this while, not one for each commit: with
                    # five followers that was three times the work of the commit itself
                    self._over.wait(GATHER)
            except Exception as error:  # a follower must outlive whatever happens to it
                if self._over.is_set():
                    return
                log.exception("follower %s failed", self.follower.name)
                with contextlib.suppress(SokhoeError):  # the memory itself may be away
                    self._say(type(error).__name__)
                self._over.wait(AFTER_FAILURE)

    def _say(self, failure: str) -> None:
        if self._failure is None:  # of the process that led before
            self._failure = self._store.kept("follower", self.follower.name) or ""
        if failure != self._failure:
            self._store.keep(Keep("follower", self.follower.name, failure or None))
            self._failure = failure

    def stop(self) -> None:
        self._over.set()


def texts_of(pack: Pack) -> Texts:
    """All rooms' catalogues, the country's last so that its words win."""
    root = Path(__file__).parent
    folders = [root / room / "locale" for room in (*ALL_ROOMS, "ops")]
    extra = pack.locale()
    return Texts([*folders, *([extra] if extra else [])])


def open_site(settings: Settings, pack: Pack, store: Store) -> Site:
    clock.set_offset(settings.utc_offset)
    return Site(
        settings=settings,
        gate=Gate(store, settings, pack.seam("trust.code_lists") or ()),
        pack=pack,
        texts=texts_of(pack),
        templates=make_templates((*ALL_ROOMS, "ops", "vietnam")),
    )


def build(
    settings: Settings,
    *,
    pack: Pack | None = None,
    store: Store | None = None,
    more_routes: Sequence[BaseRoute] = (),
    followers: bool = True,
) -> Starlette:
    """One server. `more_routes` come first (the demo's control page and test e-ID)."""
    if settings.role not in ROOMS:
        raise Invalid(
            f"Role {settings.role!r} cannot be served; known: {', '.join(ROOMS)}.",
            hint="Set SOKHOE_ROLE or pass --role. For the demo run: sokhoe demo",
            slug="role-setting",
            location="role",
        )
    if pack is None:
        pack = country.load(settings.country, settings.province)
    if store is None:
        store = open_memory(settings)
    site = open_site(settings, pack, store)
    routes: list[Any] = [Route("/health", health), *more_routes]
    workers: list[Follower] = [Sealer(store)]
    before: list[Middleware] = []
    for name in ROOMS[settings.role]:
        room = importlib.import_module(f"sokhoe.{name}")
        if hasattr(room, "open_room"):
            room.open_room(site)
        routes += room.routes(site)
        if hasattr(room, "middleware"):
            before += room.middleware(site)
        if hasattr(room, "followers"):
            workers += room.followers(site)
    retention = pack.seam("trust.retention")
    workers.append(signing.Completer(site.gate, settings, retention))
    routes += pack.routes(site)
    routes.append(page("/{path:path}", lost, methods=("GET", "POST"), public=True))
    lead = store.lead()
    runners = [Runner(one, store, lead) for one in workers] if followers else []

    @contextlib.asynccontextmanager
    async def living(app: Starlette) -> AsyncIterator[None]:
        for runner in runners:
            runner.start()
        yield
        for runner in runners:
            runner.stop()
        for runner in runners:
            runner.join(timeout=5)
        lead.close()
        store.close()

    app = Starlette(
        routes=routes,
        lifespan=living,
        middleware=[*before, Middleware(Packing)],
    )
    app.state.site = site
    app.state.store = store
    app.state.ops = site.gate.machine("ops")
    app.state.followers = workers
    return app


def health(request: Request) -> Response:
    """Am I serving? No personal data, so no sign-in."""
    site: Site = request.app.state.site
    line = site.line.status()
    broken = request.app.state.store.all_kept("follower")
    return JSONResponse(
        {
            "status": "ok",
            "role": site.role,
            "version": __version__,
            "head": request.app.state.store.head(),
            "followers": {
                one.name: broken.get(one.name, "ok") for one in request.app.state.followers
            },
            "marks": {
                one.name: request.app.state.ops.mark_of(one.name)
                for one in request.app.state.followers
                if getattr(one, "follows", True)  # one that works off other lists has no mark
            },
            "line": {"configured": line.configured, "up": line.up, "waiting": line.waiting},
        }
    )


def lost(ask: Ask) -> Response:
    """A path nobody knows: a page for people, an OperationOutcome for software."""
    path = ask.request.url.path
    failure = NotFound(f"There is nothing at {path}.", slug="no-page")
    if path.startswith(("/fhir", "/api", "/oauth", "/sync/v")):
        return JSONResponse(failure.outcome(), status_code=404)
    raise failure

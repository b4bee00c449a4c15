"""Who lets software in and throws it out: each change of the register leaves a line in the audit,
and what is ended is ended in all processes within a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sokhoe.store import Store
from sokhoe.trust.actors import Actor
from sokhoe.trust.agreements import Agreement, Agreements
from sokhoe.trust.clients import Client, Clients
from sokhoe.trust.grants import Grants
from sokhoe.trust.notes import note
from sokhoe.trust.tokens import Tokens


class Registrar:
    """`by` is whoever sits before the screen or the terminal."""

    def __init__(
        self,
        store: Store,
        clients: Clients,
        agreements: Agreements,
        grants: Grants,
        tokens: Tokens,
    ) -> None:
        self._store = store
        self._clients = clients
        self._agreements = agreements
        self._grants = grants
        self._tokens = tokens

    def add(self, client: Client, by: Actor, address: str = "") -> str:
        """Register software; its secret, if it has one. Raises Invalid, Conflict."""
        secret = self._clients.add(client)
        self._note(by, f"registered the client {client.id}", address)
        return secret

    def set_active(self, client_id: str, active: bool, by: Actor, address: str = "") -> Client:
        """End a client's access, or give it back. Raises NotFound."""
        changed = self._clients.change(client_id, lambda one: replace(one, active=active))
        self._tokens.forget()
        what = "gave access back to" if active else "ended the access of"
        self._note(by, f"{what} the client {client_id}", address)
        return changed

    def agree(self, agreement: Agreement, by: Actor, address: str = "") -> None:
        """Register an agreement. Raises Invalid, Conflict."""
        self._agreements.add(agreement)
        self._note(by, f"registered the agreement {agreement.id}", address)

    def change_agreement(
        self, id: str, change: Callable[[Agreement], Agreement], by: Actor, address: str = ""
    ) -> Agreement:
        """Raises NotFound, Invalid."""
        changed = self._agreements.change(id, change)
        self._tokens.forget()
        self._note(by, f"changed the agreement {id}", address)
        return changed

    def end_grant(self, id: str, by: Actor, address: str = "") -> None:
        """End what somebody let an app do."""
        grant = self._grants.find(id)
        self._grants.end(id)
        if grant is not None:
            self._note(by, f"threw out the app {grant.client}", address)

    def _note(self, by: Actor, what: str, address: str) -> None:
        note(self._store, by.username, what, address, actor=by)

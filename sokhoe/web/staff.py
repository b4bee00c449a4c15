"""The accounts of a facility, for its head (and of the hub, for its operator): who has one, in
which role, since when unused; add, close, open again, reset.

A given password is shown once, to be printed, and must be changed at the first sign-in. Closing is
undone by one press. Nobody closes or resets the own account here.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from starlette.responses import Response
from starlette.routing import Route

from sokhoe.errors import Forbidden, Invalid, NotFound, SokhoeError
from sokhoe.trust import Account, Put, Role
from sokhoe.web.asking import ROLES, Ask, page
from sokhoe.web.texts import key

HERE = "/accounts"
KEEPERS = frozenset({Role.HEAD, Role.OPERATOR})
OF_A_FACILITY = (Role.NURSE, Role.DOCTOR, Role.HEAD)
OF_THE_PROVINCE = (Role.STEWARD, Role.STATISTICIAN, Role.AUDITOR, Role.OPERATOR)
WHYS = {"closed": key("closed"), "idle": key("closed, not used for long")}


@dataclass(frozen=True, slots=True)
class Row:
    """An account as the page lists it."""

    account: Account
    role: str
    second: bool
    own: bool


def routes() -> list[Route]:
    deeds = {"close": close, "open": open_again, "reset": reset}
    return [
        page(HERE, show, roles=KEEPERS),
        page(HERE + "/new", add, methods=("POST",), roles=KEEPERS, recent=True),
        *(
            page(f"{HERE}/{{name}}/{word}", deed, methods=("POST",), roles=KEEPERS, recent=True)
            for word, deed in deeds.items()
        ),
    ]


def show(ask: Ask, error: SokhoeError | None = None) -> Response:
    gate = ask.site.gate
    rows = [
        Row(one, ROLES[one.role], gate.factors.of(one.username).any, _is_own(ask, one))
        for one in gate.accounts.all()
        if _mine(ask, one)
    ]
    known = {one.account.username for one in rows}
    done, name = ask.query("done"), ask.query("name")
    return ask.render(
        "web/accounts.html",
        status=error.status if error else 200,
        error=ask.t.error(error) if error else "",
        rows=rows,
        whys=WHYS,
        roles=[(str(one), ask.t(ROLES[one])) for one in _roles(ask)],
        done=done if name in known else "",
        name=name,
        typed={one: ask.field(one) for one in ("username", "name", "role")},
        days=ask.site.settings.account_idle_days,
    )


def add(ask: Ask) -> Response:
    """A new account; the page with its password for this one time."""
    gate, actor = ask.site.gate, ask.actor
    username, name = ask.field("username").lower(), ask.field("name")
    try:
        role = next((one for one in _roles(ask) if one == ask.field("role")), None)
        if role is None:
            raise Invalid("Choose a role.", slug="no-role", location="role")
        person = str(uuid4())
        password = gate.accounts.add_once(
            username,
            role=role,
            name=name,
            actor=f"Practitioner/{person}",
            place=actor.place,
            place_name=actor.place_name,
        )
    except SokhoeError as error:
        return show(ask, error)
    if actor.role is Role.HEAD:  # so that the audit's lines lead to somebody
        ask.session.commit([Put(_practitioner(person, name))], note="account added")
    gate.note(actor, f"account added: {username} ({role})", ask.address)
    return _paper(ask, username, password)


def close(ask: Ask) -> Response:
    account = _other(ask)
    ask.site.gate.set_active(account.username, False)
    ask.site.gate.note(ask.actor, f"account closed: {account.username}", ask.address)
    return ask.go(f"{HERE}?done=closed&name={account.username}")


def open_again(ask: Ask) -> Response:
    account = _other(ask)
    ask.site.gate.set_active(account.username, True)
    ask.site.gate.note(ask.actor, f"account opened: {account.username}", ask.address)
    return ask.go(f"{HERE}?done=open&name={account.username}")


def reset(ask: Ask) -> Response:
    """A new password on paper; second factors and PINs are taken off, sign-ins end."""
    gate, account = ask.site.gate, _other(ask)
    password = gate.reset(account.username)
    gate.note(ask.actor, f"account reset: {account.username}", ask.address)
    return _paper(ask, account.username, password)


# -- inside -----------------------------------------------------------------------------------


def _paper(ask: Ask, username: str, password: str) -> Response:
    account = ask.site.gate.accounts.find(username)
    return ask.render("web/account_paper.html", account=account, password=password)


def _roles(ask: Ask) -> tuple[Role, ...]:
    return OF_A_FACILITY if ask.actor.role is Role.HEAD else OF_THE_PROVINCE


def _mine(ask: Ask, account: Account) -> bool:
    """Is this account in the hands of whoever asks? A head's are those of the own facility, an
    operator's those of the province itself."""
    return account.place == ask.actor.place and account.role in _roles(ask)


def _is_own(ask: Ask, account: Account) -> bool:
    return account.username == ask.actor.username


def _other(ask: Ask) -> Account:
    """The account of the path. One of elsewhere is answered as one that is not there."""
    account = ask.site.gate.accounts.find(ask.path["name"])
    if account is None or not _mine(ask, account):
        raise NotFound("There is no such account.", slug="no-account")
    if _is_own(ask, account):
        raise Forbidden("Nobody closes or resets the own account.", slug="own-account")
    return account


def _practitioner(id: str, name: str) -> dict[str, object]:
    return {"resourceType": "Practitioner", "id": id, "active": True, "name": [{"text": name}]}

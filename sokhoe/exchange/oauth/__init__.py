"""Tokens for software and apps: OAuth 2 as SMART on FHIR uses it.

    authorize   /oauth/authorize: somebody says what an app may do for him
    token       /oauth/token, /oauth/revoke, /oauth/introspect
    well_known  what a program reads first: where everything is and what is supported
    apps        /apps: every app and program, for the head and the operator; agreements
    mine        /apps/mine: what somebody let in; /apps/open: from a patient's page
    words       scopes as people say them
    tidying     forgets what is over
    asking      the forms of these addresses, and who sends them

docs/smart.md shows a vendor the way.
"""

from starlette.routing import Route

from sokhoe.exchange.oauth import apps, authorize, mine, token, well_known
from sokhoe.exchange.oauth.apps import open_room
from sokhoe.exchange.oauth.tidying import Tidier


def routes() -> list[Route]:
    parts = (authorize, token, well_known, mine, apps)
    return [route for part in parts for route in part.routes()]


__all__ = ["Tidier", "open_room", "routes"]

"""Tokens for software and apps: OAuth 2 as SMART on FHIR uses it.

    authorize   /oauth/authorize: somebody says what an app may do for him
    token       /oauth/token, /oauth/revoke, /oauth/introspect
    well_known  what a program reads first: where everything is and what is supported
    words       scopes as people say them
    tidying     forgets what is over
    asking      the forms of these addresses, and who sends them

docs/smart.md shows a vendor the way.
"""

from starlette.routing import Route

from sokhoe.exchange.oauth import authorize, token, well_known
from sokhoe.exchange.oauth.tidying import Tidier


def routes() -> list[Route]:
    return [*authorize.routes(), *token.routes(), *well_known.routes()]


__all__ = ["Tidier", "routes"]

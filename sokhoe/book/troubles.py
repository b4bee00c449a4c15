"""What a citizen is told when signing in did not work: what happened, and the way out.

Keyed by the slug of the error. Two refusals may have one page: the difference matters to the
operator, who finds the reason in the log, and would only help whoever is trying things.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sokhoe.web import key


@dataclass(frozen=True, slots=True)
class Trouble:
    """A sign-in that did not work, for the citizen: what happened, and what to do now."""

    title: str
    text: str
    way: str
    again: bool = True


TROUBLES: Mapping[str, Trouble] = {
    "eid-down": Trouble(
        key("The e-ID does not answer"),
        key("The service that checks who you are is not answering just now. Your record is safe."),
        key(
            "Try again in a few minutes. If it is urgent, go to your health station with your card."
        ),
    ),
    "eid-busy": Trouble(
        key("Many people are signing in"),
        key("The service that checks who you are is slow just now."),
        key("Wait a minute and press the button again."),
    ),
    "eid-denied": Trouble(
        key("You did not agree"),
        key("At the e-ID you chose not to go on, so nothing was opened."),
        key("If that was a mistake, sign in again and agree."),
    ),
    "eid-old": Trouble(
        key("This took too long"),
        key("This sign-in is over or was already used. Nothing was opened."),
        key("Press the button to start again."),
    ),
    "eid-answer": Trouble(
        key("We could not check the answer of the e-ID"),
        key("The answer was not the one we were waiting for, so we opened nothing."),
        key("Press the button to start again. If it happens again, tell your health station."),
    ),
    "eid-claims": Trouble(
        key("The e-ID did not tell us enough"),
        key("We need your citizen ID, name and birth date to find your record."),
        key("Sign in again and agree to pass these on."),
    ),
    "eid-level": Trouble(
        key("Your e-ID is not confirmed yet"),
        key("Health records open only with an e-ID that was confirmed in person."),
        key("Have your e-ID confirmed with the police of your commune, then sign in again."),
        again=False,
    ),
    "eid-nobody": Trouble(
        key("No record under your number yet"),
        key("No facility of the province has sent us a record with your citizen ID."),
        key("Show your card at your health station at the next visit; then it will appear here."),
        again=False,
    ),
    "eid-unsure": Trouble(
        key("We could not match your record yet"),
        key(
            "There is a record with your citizen ID, but its name or birth date is written"
            " differently. To keep it from a stranger, we do not show it."
        ),
        key(
            "Please bring your card to your health station. The staff of the province have been"
            " told and will look at it."
        ),
        again=False,
    ),
}
# Refusals that are shown as another one: the difference matters to the operator only.
_SHOWN_AS = {
    "eid-state": "eid-old",
    "eid-code": "eid-old",
    "seal": "eid-old",
    "seal-old": "eid-old",
}


def trouble_of(slug: str) -> Trouble | None:
    """The page for an error; None for an error that is not about signing in."""
    return TROUBLES.get(_SHOWN_AS.get(slug, slug))

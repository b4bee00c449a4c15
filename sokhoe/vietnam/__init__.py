"""I am Vietnam: citizen numbers and cards, insurance numbers, the exchange XML, the province's
gateway, code lists, communes and facilities, and the invented province of the demo.

I keep no state; a province is a folder of data (`provinces/vinh_long`). I may ask fhir, trust, web,
people, exchange, clinic, book and warehouse. I never am imported by anyone: the rooms meet me at
their seams, through the entry point `sokhoe.country`.
"""

from sokhoe.vietnam.pack import Pack


def pack(province: str) -> Pack:
    """The entry point: the pack for one province's data folder."""
    return Pack(province)


__all__ = ["Pack", "pack"]

"""The functions of FHIRPath and those that FHIR adds, by name.

`FUNCTIONS` take the collection they are called on and their arguments already evaluated;
`LAMBDAS` evaluate theirs themselves, for each item or only if needed.
"""

from __future__ import annotations

from sokhoe.fhir.path.functions import (
    boundaries,
    collections,
    conversions,
    fhir,
    numbers,
    texts,
)
from sokhoe.fhir.path.functions.shape import Function, Lambda

FUNCTIONS: dict[str, Function] = {
    **collections.FUNCTIONS,
    **conversions.FUNCTIONS,
    **texts.FUNCTIONS,
    **numbers.FUNCTIONS,
    **boundaries.FUNCTIONS,
    **fhir.FUNCTIONS,
}
LAMBDAS: dict[str, Lambda] = {**collections.LAMBDAS, **fhir.LAMBDAS}

__all__ = ["FUNCTIONS", "LAMBDAS", "Function", "Lambda"]

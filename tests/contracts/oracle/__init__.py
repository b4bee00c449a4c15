"""The search oracle: FHIR R4 search said once more, slowly, from the specification alone.

    parameters   the official definitions: expression, kind, targets, components
    moments      dates as stretches of time, and their prefixes
    amounts      numbers and quantities, exactly, as fractions
    words        folded texts
    values       does a value meet what was asked? by kind of parameter
    oracle       conditions, chains, `_has`, compartments, includes, order
    world        invented records with awkward values, changed and deleted
    questions    searches over them, about half of whose values hit
    asking       a question put to the store and to the oracle; the smallest that still disagrees

It shares the texts of the expressions with the program and nothing else: values are found with
FHIRPath (which the index does not use), and compared here. See docs/search-oracle.md.
"""

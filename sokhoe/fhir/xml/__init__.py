"""FHIR in XML: the same resources as in JSON, by the rules of hl7.org/fhir/R4/xml.html.

    <Patient xmlns="http://hl7.org/fhir">      {"resourceType": "Patient",
      <active value="true"/>                    "active": true,
      <name id="n"><given value="An"/></name>   "name": [{"id": "n", "given": ["An"]}]}
    </Patient>

Both directions follow the table of R4 types, so order, lists, primitives and their extensions come
out right by construction. What is read is checked for its shape only; `validate` does the rest.
"""

from sokhoe.fhir.xml.reading import from_xml
from sokhoe.fhir.xml.writing import to_xml

__all__ = ["from_xml", "to_xml"]

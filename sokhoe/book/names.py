"""Plain names of common measurements, and the usual adult ranges of the vital signs.

The name is a catalogue key, so it is said in the reader's language; the sender's own name stands
beside it. A range is used only where the sender gave none, for adults, and the page says so:
WHO and ESH limits for blood pressure; common clinical ranges for the others. A laboratory's own
range always wins.
"""

from __future__ import annotations

from decimal import Decimal

from sokhoe.web import key

PLAIN: dict[str, str] = {
    # LOINC → what people call it
    "85354-9": key("Blood pressure"),
    "55284-4": key("Blood pressure"),
    "8480-6": key("Upper blood pressure"),
    "8462-4": key("Lower blood pressure"),
    "8867-4": key("Pulse"),
    "8310-5": key("Body temperature"),
    "9279-1": key("Breathing rate"),
    "2708-6": key("Oxygen in the blood"),
    "59408-5": key("Oxygen in the blood"),
    "29463-7": key("Weight"),
    "8302-2": key("Height"),
    "39156-5": key("Body mass index (BMI)"),
    "56086-2": key("Waist"),
    "8280-0": key("Waist"),
    "14749-6": key("Blood sugar"),
    "2339-0": key("Blood sugar"),
    "2345-7": key("Blood sugar"),
    "15074-8": key("Blood sugar"),
    "1558-6": key("Blood sugar before eating"),
    "14771-0": key("Blood sugar before eating"),
    "4548-4": key("Three-month blood sugar (HbA1c)"),
    "718-7": key("Haemoglobin (anaemia)"),
    "6690-2": key("White blood cells"),
    "789-8": key("Red blood cells"),
    "777-3": key("Blood platelets"),
    "14682-9": key("Creatinine (kidneys)"),
    "2160-0": key("Creatinine (kidneys)"),
    "22664-7": key("Urea (kidneys)"),
    "1742-6": key("ALT (liver)"),
    "1920-8": key("AST (liver)"),
    "2324-2": key("GGT (liver)"),
    "14647-2": key("Total cholesterol (blood fat)"),
    "2093-3": key("Total cholesterol (blood fat)"),
    "14646-4": key("HDL cholesterol (good fat)"),
    "2085-9": key("HDL cholesterol (good fat)"),
    "22748-8": key("LDL cholesterol (bad fat)"),
    "13457-7": key("LDL cholesterol (bad fat)"),
    "18262-6": key("LDL cholesterol (bad fat)"),
    "14927-8": key("Triglycerides (blood fat)"),
    "2571-8": key("Triglycerides (blood fat)"),
    "14933-6": key("Uric acid (gout)"),
    "3084-1": key("Uric acid (gout)"),
    "1988-5": key("CRP (inflammation)"),
    "3016-3": key("TSH (thyroid)"),
    "2823-3": key("Potassium"),
    "2951-2": key("Sodium"),
    "5195-3": key("Hepatitis B test"),
    "16128-1": key("Hepatitis C test"),
    "20454-5": key("Protein in the urine"),
    "25428-4": key("Sugar in the urine"),
    "882-1": key("Blood group"),
    "883-9": key("Blood group (ABO)"),
    "10331-7": key("Blood group (Rh)"),
}

Range = tuple[Decimal | None, Decimal | None]

ADULT: dict[str, Range] = {
    "8480-6": (Decimal(90), Decimal(139)),  # mmHg
    "8462-4": (Decimal(60), Decimal(89)),  # mmHg
    "8867-4": (Decimal(60), Decimal(100)),  # per minute
    "8310-5": (Decimal("36.0"), Decimal("37.4")),  # °C
    "9279-1": (Decimal(12), Decimal(20)),  # per minute
    "2708-6": (Decimal(95), None),  # %
    "59408-5": (Decimal(95), None),  # %
    "39156-5": (Decimal("18.5"), Decimal("22.9")),  # kg/m², WHO cut-off for Asia
}
ADULT_AGE = 18

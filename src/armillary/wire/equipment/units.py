# SPDX-License-Identifier: Apache-2.0
"""Units that a profile may use, and the quantity that each belongs to: names of DTDL, and a few of our own.

A guardian's image has no DTDL library, hence this table; ``tests/wire/equipment/test_units.py`` compares it with the
one of ``armillary.wire.dtdl``.

Source: DTDL v2 §Semantic types; quantitativeTypes version 1.
"""

from __future__ import annotations

from collections.abc import Mapping

# DTDL semantic type -> its units.
QUANTITY_UNITS: Mapping[str, frozenset[str]] = {
    quantity: frozenset(units.split())
    for quantity, units in {
        "Acceleration": "centimetrePerSecondSquared gForce metrePerSecondSquared",
        "Angle": "degreeOfArc minuteOfArc radian secondOfArc turn",
        "AngularVelocity": "degreePerSecond radianPerSecond revolutionPerMinute revolutionPerSecond",
        "Area": "hectare squareCentimetre squareFoot squareInch squareKilometre squareMetre squareMillimetre",
        "Capacitance": "farad microfarad millifarad nanofarad picofarad",
        "Current": "ampere microampere milliampere",
        "DataSize": "bit byte gibibyte kibibyte mebibyte",
        "Density": "gramPerCubicMetre kilogramPerCubicMetre",
        "Distance": "centimetre foot inch kilometre metre micrometre mile millimetre nanometre",
        "ElectricCharge": "coulomb",
        "Energy": "gigajoule joule kilojoule kilowattHour megajoule",
        "Force": "newton ounce pound ton",
        "Frequency": "gigahertz hertz kilohertz megahertz",
        "Illuminance": "footcandle lux",
        "Inductance": "henry microhenry millihenry",
        "Length": "centimetre foot inch kilometre metre micrometre mile millimetre nanometre",
        "Luminance": "candelaPerSquareMetre",
        "LuminousFlux": "lumen",
        "MagneticInduction": "tesla",
        "Mass": "gram kilogram microgram milligram tonne",
        "MassFlowRate": "gramPerHour gramPerSecond kilogramPerHour kilogramPerSecond",
        "Power": "gigawatt horsepower kilowatt megawatt microwatt milliwatt watt",
        "Pressure": "bar inchesOfMercury inchesOfWater kilopascal millibar millimetresOfMercury pascal "
        "poundPerSquareInch",
        "RelativeHumidity": "percent unity",
        "Resistance": "kiloohm megaohm milliohm ohm",
        "SoundPressure": "bel decibel",
        "Temperature": "degreeCelsius degreeFahrenheit kelvin",
        "TimeSpan": "day hour microsecond millisecond minute second year",
        "Torque": "newtonMetre",
        "Velocity": "centimetrePerSecond kilometrePerHour metrePerHour metrePerSecond",
        "Voltage": "kilovolt megavolt microvolt millivolt volt",
        "Volume": "cubicCentimetre cubicFoot cubicInch cubicMetre fluidOunce gallon litre millilitre",
        "VolumeFlowRate": "litrePerHour litrePerSecond millilitrePerHour millilitrePerSecond",
    }.items()
}

# Units that DTDL v2 lacks: a value that has one is a plain number there, with the unit in its display name.
OWN_UNITS: Mapping[str, str] = {
    "none": "",
    "count": "",
    "partsPerMillion": "ppm",
    "microstrain": "µm/m",
    "voltAmpere": "VA",
    "microsiemensPerCentimetre": "µS/cm",
    "countPerHour": "1/h",
}

UNITS: frozenset[str] = frozenset().union(*QUANTITY_UNITS.values()) | OWN_UNITS.keys()

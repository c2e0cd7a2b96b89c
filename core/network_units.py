"""Network units: what numbers stand for in a network's input and output.

After King et al. (2024, doi 10.1175/AIES-D-23-0063.1): reflectivity from -60 to 30 dBZ becomes -0.5
to 1 and clear sky becomes -1. Other fields likewise: their range becomes -0.5 to 1, and what is
absent becomes -1.
"""

LOWEST_DBZ, HIGHEST_DBZ = -60.0, 30.0
"""Range of reflectivity [dBZ]."""
LOWEST_UNIT, HIGHEST_UNIT = -0.5, 1.0
"""What the ends of a range become [network units]."""
CLEAR_UNIT = -1.0
"""Clear sky [network units]."""
ABSENT_UNIT = -1.0
"""Where a field other than reflectivity has no value [network units]."""
ECHO_ABOVE = 0.5 * (CLEAR_UNIT + LOWEST_UNIT)
"""Reflectivity above it is echo [network units]: halfway from clear sky to the weakest echo."""
DB_PER_UNIT = (HIGHEST_DBZ - LOWEST_DBZ) / (HIGHEST_UNIT - LOWEST_UNIT)
"""What one network unit of reflectivity is [dB]."""
LOG_SCALE_LIMITS = (-5.0, 1.0)
"""Bounds of the log scale of reflectivity given echo [network units], 0.4 to 163 dB: a guard
against its collapse in training."""

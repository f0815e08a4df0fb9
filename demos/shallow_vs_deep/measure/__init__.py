"""What is measured, row by row of the lecture's table."""

from . import definition, growth, parameters, raw_input, regions, trainability

PARTS = tuple(part for row in (definition, raw_input, parameters, regions, growth, trainability) for part in row.PARTS)

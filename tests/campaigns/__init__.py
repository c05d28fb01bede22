"""Searches for what nobody thought of: a little of each in ``make test``, and for as long as one likes alone.

``simulation`` (make sim), ``explorer`` (make explore, make twins), ``planted`` bugs (make bugs), ``mutants``
and ``fuzz`` (make fuzz, make fuzz-crypto).
"""

"""What every engine stands on, above the log: who takes part, as the log itself says it.

``control`` is the membership of an alliance as a function of its log; ``limits`` has the bounds that it and
the engines share. Pure: no I/O, clock, randomness or keys. Signatures are checked by a function that the
caller gives.
"""

"""What tests stand on: worlds for engines and for real servers, and who lives, lies and watches there.

Simulated, for real engines and drivers: ``cluster`` (no time passes; a random thing happens next), ``world``
(with liars and what each correct member must not do), ``timed`` (with clocks, delays and journals); their
``member``, ``disk`` and ``standin`` scheme; the ``adversaries``; the ``checkers``, which know no world. One
engine alone is on the bench of ``single``. Real servers, as processes: ``processes``, ``founding``,
``executors``.
"""

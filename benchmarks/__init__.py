"""Measures alliance: real server processes, load from processes of its own, peers and a ceiling beside them.

Not part of the product, which never imports it. ``python -m benchmarks --help`` lists what it measures;
docs/development/performance.md says how, and docs/development/scaling.md what the simulated network shows.
"""

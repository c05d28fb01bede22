"""A member that lies: what ``alliance demo`` shows the others to withstand. Not for use anywhere else.

It is the real server with the real engine, its own member's keys and its own share; only what the engine is
told, and what leaves it, passes through a ``Liar`` first. So it can do whatever the holder of one member's
keys can do, and nothing else. The product knows nothing of it: no module imports this package (a contract in
setup.cfg), no command starts it. It is started as ``python -m alliance.hostile``, by the demo, and refuses
every folder that the demo has not marked.

* ``liar``: the engine's wrapper, in which nothing is false yet.
* ``attacks``: what each kind of liar does, by name.
* ``server``: the process.
"""

"""Attacks from outside on real servers, each with the bar that it must stay under.

``python -m tests.attacks list`` names them; ``python -m tests.attacks NAME`` runs one, ``all`` runs all. Six
servers run as processes on loopback; the attacker is a process of its own, on a core of its own where there
are two, and so is a client that proposes all the while and is to notice little.
"""

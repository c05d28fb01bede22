"""What follows when something becomes true, through all rooms that it concerns, in the order that matters.

What must be durable is said before what may then be sent. A flow is functions over the ``Rooms``; it holds
nothing itself. Each calls only those below it: ``catch_up`` and ``speak``, ``change_view``, ``decide``,
``suspect``.
"""

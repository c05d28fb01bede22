"""``alliance demo``: six organisations in a minute, and attacks one at a time."""

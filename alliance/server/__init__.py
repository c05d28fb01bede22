"""What runs a member: the process, its loop, the gate, its links and what clients may ask."""

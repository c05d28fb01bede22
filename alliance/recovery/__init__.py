"""When too few members are left for the alliance to decide anything: what is kept for that day, and done."""

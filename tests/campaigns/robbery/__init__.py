"""Members that were robbed: what their disks lost or brought back, and whether they notice in time."""

"""Members hand their keys on while the alliance runs: what each of them does about it, and when."""

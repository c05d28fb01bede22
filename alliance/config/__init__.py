"""alliance.toml: who takes part, and how it is read."""

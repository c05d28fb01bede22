"""Other systems, where a user can install them from the ordinary package managers."""

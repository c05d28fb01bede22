"""Keys at rest: a party's folder, channel keys, Ed25519."""

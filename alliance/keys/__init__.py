"""Keys at rest: a party's folder, the dealer's ceremony, Ed25519."""

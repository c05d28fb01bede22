"""A key without a dealer; the parts that compute."""

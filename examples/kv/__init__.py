"""A replicated key-value store: the smallest application. docs/tutorial.md builds it step by step."""

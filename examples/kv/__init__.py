"""A replicated key-value store: the smallest application. docs/start/tutorial.md builds it step by step."""

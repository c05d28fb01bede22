"""Receipts: the proof that a command was ordered, and how it is written."""

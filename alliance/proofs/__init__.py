"""Receipts: the proof that a command was ordered, and how it is written."""

from alliance.proofs.receipt import Receipt, load_public_key

__all__ = ["Receipt", "load_public_key"]

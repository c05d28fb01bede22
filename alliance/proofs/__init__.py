"""Receipts: the proof that a command was ordered, and how it is written."""

from alliance.proofs.receipt import Receipt, load_public_key
from alliance.proofs.votes import Vote

__all__ = ["Receipt", "Vote", "load_public_key"]

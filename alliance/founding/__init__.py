"""Founding an alliance: what is to be founded, and by whose hands its keys are made."""

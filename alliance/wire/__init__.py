"""Bytes on the wire: protobuf to values and back, with the bounds of form."""

"""The state machine: a dictionary, commands that change it, a query that reads it."""

from __future__ import annotations

import json

from alliance.execution import Command, Refused


class Store:
    """Commands are ``set KEY VALUE`` and ``delete KEY``; the answer is the old value. A query is the key.

    All in UTF-8; a key has no blanks. Answers are JSON: a string, or ``null`` for a value that is not there.
    """

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def apply(self, command: Command) -> bytes:
        match _text(command.payload).split(" ", 2):
            case ["set", key, value] if key:
                old = self.values.get(key)
                self.values[key] = value
            case ["delete", key] if key:
                old = self.values.pop(key, None)
            case _:
                raise Refused("say 'set KEY VALUE' or 'delete KEY'")
        return json.dumps(old).encode()

    def query(self, query: bytes) -> bytes:
        return json.dumps(self.values.get(_text(query))).encode()

    def snapshot(self) -> bytes:
        return json.dumps(self.values, sort_keys=True).encode()

    def restore(self, snapshot: bytes) -> None:
        self.values = json.loads(snapshot)


def _text(payload: bytes) -> str:
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("this is not UTF-8") from None

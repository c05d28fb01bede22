"""Who belongs to the alliance now, as one process knows it: what alliance.toml said when it started, and what
the alliance has decided since.

Parts of a process that keep something of it are told of each revision and epoch (``follow``); who looks at it
now and then reads ``config`` anew each time. A member's number is its place in one epoch: who keeps something
of members from one epoch to the next knows them by their identities.
"""

from __future__ import annotations

from collections.abc import Callable

from alliance.config.file import AllianceConfig
from alliance.config.parties import Client

Expecting = Callable[[tuple[Client, ...]], None]
Follower = Callable[[AllianceConfig], None]


class Directory:
    """The newest membership that this process knows. Any thread may read ``config``."""

    def __init__(self, config: AllianceConfig) -> None:
        self._config = config
        self._followers: list[Follower] = []
        self._incoming: tuple[Client, ...] = ()
        self._expecting: list[Expecting] = []

    @property
    def config(self) -> AllianceConfig:
        return self._config

    def follow(self, *followers: Follower) -> None:
        """Each is called with every revision and epoch from now on, in the order in which they came."""
        self._followers += followers

    def unfollow(self, follower: Follower) -> None:
        """It is not called any more."""
        self._followers.remove(follower)

    def tell_incoming(self, *expecting: Expecting) -> None:
        """Each of them is told who is ``incoming``, from now on."""
        self._expecting += expecting

    def expect(self, incoming: tuple[Client, ...]) -> None:
        """These parties will be members by changes that are approved; until then they are as clients are."""
        if incoming != self._incoming:
            self._incoming = incoming
            for told in self._expecting:
                told(incoming)

    def update(self, config: AllianceConfig) -> bool:
        """Takes a higher revision of this epoch, or a later epoch; whether it was one.

        Raises ValueError when it is of another alliance, or a revision with other members or keys: those
        change with an epoch.
        """
        now = self._config
        if config.founding != now.founding:
            raise ValueError("a membership of another alliance")
        if config.epoch == now.epoch and _fixed(config) != _fixed(now):
            raise ValueError("a revision changes addresses and clients, and nothing else")
        if config.membership <= now.membership:
            return False
        self._config = config
        for told in tuple(self._followers):
            told(config)
        return True


def place_of(config: AllianceConfig, identity: bytes) -> int | None:
    """The member's number; None if none of this identity (32 bytes) takes part."""
    return next((at for at, member in enumerate(config.members) if member.identity == identity), None)


def _fixed(config: AllianceConfig) -> tuple[object, ...]:
    """What is the same in all revisions of an epoch."""
    members = [(member.name, member.organisation, member.identity) for member in config.members]
    return config.key, config.purpose_keys, config.dealing, members

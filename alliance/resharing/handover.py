"""A member's part in handing the keys on, beside its server, or while it waits to become a member.

    handover = Handover(folder, party, passphrase, config, submit)
    handover.follow(state)                    # after every decided slot: cheap
    await handover.run()                      # until cancelled: does what is due, one step at a time
    outcome = await handover.outcome(state)   # at the end of an epoch by a full change

What takes time or secrets happens in a process of its own (``process``). Whatever cannot be done is said, and
tried again later: it ends nobody, since the others hand the keys on without this member.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from alliance.config.file import AllianceConfig
from alliance.config.founding import AGREEMENT
from alliance.config.parties import Party
from alliance.errors import AllianceError, KeyFileError
from alliance.keys import handover as kept
from alliance.keys import shares
from alliance.keys.shares import Generation
from alliance.resharing import process, steps
from alliance.resharing.attempt import Attempt, keys_of, read_keys, write_keys
from alliance.resharing.steps import BeReady, Deal, Held, Step, Switch
from alliance.resharing.work import Answer, Kind, Task, digest_of
from consensus.control import ControlState
from consensus.control.encoding import Reader
from quorum.threshold_rsa import AgreementKey

PAUSE_S = 2.0
"""Until a command that the log does not have is submitted once more; then twice as long, and so on."""
PAUSE_MAX_S = 60.0

log = logging.getLogger("alliance.resharing")


@dataclass(frozen=True, slots=True)
class Outcome:
    """``keys`` are the next dealing's public keys: the agreement key, then the purposes' in their order.

    ``generation`` is that of this member's shares of them; None if it has none, or is no member any more.
    """

    generation: Generation | None
    keys: tuple[AgreementKey, ...]


class Handover:
    """``follow``, ``run`` and ``outcome`` are called on one loop.

    ``config`` gives the alliance.toml of now, ``submit`` orders one signed control command, which may get
    lost. ``switched`` is called when shares that have come late count: a signer can be started with them.
    """

    def __init__(
        self,
        folder: Path,
        party: Party,
        passphrase: bytes,
        config: Callable[[], AllianceConfig],
        submit: Callable[[bytes], None],
        switched: Callable[[Generation], None] = lambda _: None,
        *,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._problems: dict[Step | None, str] = {}
        self._folder, self._party = folder, party
        self._passphrase = passphrase
        self._config, self._submit, self._switched = config, submit, switched
        self._pause_s = pause_s
        self._state: ControlState | None = None
        self._seen: object = None
        self._news = asyncio.Event()
        self._commands: dict[Step, bytes] = {}
        self._not_before: dict[Step, tuple[int, float]] = {}
        self._looked_at: dict[Step, int] = {}
        self._judged: dict[tuple[int, bytes, int], tuple[AgreementKey, ...]] = {}
        self._blamed: set[tuple[tuple[int, bytes, int], str]] = set()
        self._quiet = False
        # What one of them receives or judges, which takes seconds, serves the others.
        self._working = asyncio.Lock()

    def __repr__(self) -> str:
        return f"Handover({self._party.name!r}, passphrase=<hidden>)"

    @property
    def problem(self) -> str:
        """What keeps this member from a step that is due, or nothing."""
        return "; ".join(dict.fromkeys(self._problems.values()))

    def follow(self, state: ControlState) -> None:
        """The state after a decided slot. Never waits."""
        self._state = state
        active, last = state.active, state.transcript
        seen = (
            (state.epoch, state.dealing, state.end, state.end == state.slot),
            active and (active.approved.change_id, active.attempt, len(active.dealings), len(active.readies)),
            last and (last.change_id, len(last.ready)),
        )
        if seen != self._seen:
            self._seen, self._quiet = seen, False
            self._news.set()

    async def run(self) -> None:
        """Does what is due, until cancelled."""
        while True:
            self._news.clear()
            async with self._working:
                pause = await self._turn()
            try:
                async with asyncio.timeout(pause):
                    await self._news.wait()
            except TimeoutError:
                self._quiet = True

    async def _turn(self) -> float | None:
        """Everything that is due now; in how many seconds to look again, None: when there is news."""
        state, config = self._state, self._config()
        if state is None:
            return None
        if state.dealing != config.dealing:  # it is being switched
            return self._pause_s
        try:
            held = await asyncio.to_thread(self._look, config)
        except (AllianceError, OSError) as error:
            self._complain(None, error)
            return PAUSE_MAX_S
        due = steps.due(state, self._party.name, self._party.identity, held)
        self._forget(due)
        pauses = [await self._step(one, state, config, held) for one in due]
        waits = [pause for pause in pauses if pause is not None]
        if waits:
            return min(waits)
        return None if due else await self._tidy(state, held)

    def _look(self, config: AllianceConfig) -> Held:
        if config.dealing not in kept.publics(self._folder):
            kept.keep_public(self._folder, config.dealing, write_keys(keys_of(config)))
        return steps.look(self._folder)

    def _forget(self, due: tuple[Step, ...]) -> None:
        """What belongs to steps that are done, or given up."""
        self._commands = {step: command for step, command in self._commands.items() if step in due}
        self._not_before = {step: since for step, since in self._not_before.items() if step in due}
        self._looked_at = {step: count for step, count in self._looked_at.items() if step in due}
        self._problems = {step: problem for step, problem in self._problems.items() if step in due}

    async def _step(
        self, step: Step, state: ControlState, config: AllianceConfig, held: Held
    ) -> float | None:
        """Does one step, unless it was done a moment ago; in how many seconds to look again."""
        now = asyncio.get_running_loop().time()
        tries, time = self._not_before.get(step, (0, now))
        if now < time:
            return time - now
        pause = min(self._pause_s * float(2 ** min(tries, 10)), PAUSE_MAX_S)
        try:
            if isinstance(step, Switch):
                await self._switch(step.generation)
            elif (command := await self._command(step, state, config, held)) is not None:
                self._submit(command)
            else:
                return None
            self._problems.pop(step, None)
        except (AllianceError, OSError, ValueError) as error:
            self._complain(step, error)
        self._not_before[step] = tries + 1, asyncio.get_running_loop().time() + pause
        return pause

    async def _command(
        self, step: Deal | BeReady, state: ControlState, config: AllianceConfig, held: Held
    ) -> bytes | None:
        """What the step has to say; None as long as nothing can be said, or when nothing is to be."""
        if step in self._commands:
            return self._commands[step]
        late = isinstance(step, BeReady) and step.late
        attempt = self._attempt(state, config, late)
        if self._looked_at.get(step) == len(attempt.posted):
            return None
        kind = Kind.DEAL
        if isinstance(step, BeReady):
            kind = Kind.READY if step.announce else Kind.RECEIVE
        answer = await self._perform(self._task(kind, attempt, state, config, held, late))
        if kind is not Kind.DEAL:
            self._looked_at[step] = len(attempt.posted)
        if late and answer.keys and (held.current is None or held.current.epoch < attempt.dealing):
            await self._switch(attempt.generation)
        if answer.command:
            self._commands[step] = answer.command
        return answer.command or None

    async def _switch(self, generation: Generation) -> None:
        """Shares that have come late count from now on."""
        await asyncio.to_thread(shares.switch_to, self._folder, generation)
        self._switched(generation)

    async def _tidy(self, state: ControlState, held: Held) -> float | None:
        """Erases what is of no use any more, once the log has been quiet for a moment."""
        tidy = steps.tidy(state, self._party.name, self._party.identity, held)
        if not tidy:
            return None
        if not self._quiet:
            return self._pause_s
        try:
            await asyncio.to_thread(steps.carry_out, self._folder, tidy)
        except (AllianceError, OSError) as error:
            self._complain(None, error)
            return PAUSE_MAX_S
        return None

    async def outcome(self, state: ControlState) -> Outcome:
        """What the change has come to whose epoch ends with this state.

        The shares are received here, if they were not before. Raises KeyFileError when this member cannot
        tell the keys, or they are not those that the ready members have named; and ValueError for a state
        without a full change.
        """
        async with self._working:
            return await self._outcome(state)

    async def _outcome(self, state: ControlState) -> Outcome:
        config = self._config()
        attempt = self._attempt(state, config, late=False)
        agreed, _ = state.dealt_for.agreed
        held = await asyncio.to_thread(steps.look, self._folder)
        if self._may_receive(state, held) and not held.has(attempt.generation, agreed):
            try:
                await self._perform(self._task(Kind.RECEIVE, attempt, state, config, held))
            except (AllianceError, OSError) as error:
                self._complain(None, error)
            held = await asyncio.to_thread(steps.look, self._folder)
        keys = self._judged.get(_about(attempt))
        if keys is None:
            keys = (await self._perform(self._task(Kind.JUDGE, attempt, state, config, held))).keys
        if not keys or digest_of(keys) != agreed:
            raise KeyFileError(
                "the dealings in the log do not give this member the keys that the next members have named:"
                " more members lie than the alliance tolerates, or this machine computes wrongly"
            )
        return Outcome(attempt.generation if held.has(attempt.generation, agreed) else None, keys)

    def _may_receive(self, state: ControlState, held: Held) -> bool:
        row = steps.target_row(state, self._party.name, self._party.identity)
        return row is not None and steps.fingerprint(row.receiver) in held.receivers

    def _attempt(self, state: ControlState, config: AllianceConfig, late: bool) -> Attempt:
        if late and state.transcript is not None:
            return Attempt.that_was(state, state.transcript, config, self._keys_before(config))
        return Attempt.under_way(state, config)

    def _keys_before(self, config: AllianceConfig) -> tuple[AgreementKey, ...]:
        """Of the dealing before that of alliance.toml; empty if nothing here knows them."""
        if config.dealing == 1:
            return config.terms.founding_keys
        encoded = kept.public_of(self._folder, config.dealing - 1)
        return () if encoded is None else read_keys(Reader(encoded))

    def _task(
        self,
        kind: Kind,
        attempt: Attempt,
        state: ControlState,
        config: AllianceConfig,
        held: Held,
        late: bool = False,
    ) -> Task:
        name = self._party.name
        return Task(
            kind,
            name,
            self._party.identity,
            attempt,
            (AGREEMENT, *(purpose for purpose, _ in config.purpose_keys)),
            b"" if kind is Kind.JUDGE else self._passphrase,
            held.current,
            keys_of(config) if late else self._judged.get(_about(attempt), ()),
            steps.not_to_be_next(state, name, held),
        )

    async def _perform(self, task: Task) -> Answer:
        """Remembers the keys, and says once who dealt wrongly."""
        answer = await process.perform(self._folder, task)
        if answer.keys:
            self._judged = {**dict(list(self._judged.items())[-1:]), _about(task.attempt): answer.keys}
        said = [f"the dealing of '{name}' does not count: {reason}" for name, reason in answer.culprits]
        said += [f"nothing is dealt to '{name}', whose receiver key {why}" for name, why in answer.absent]
        blamed = {(_about(task.attempt), text) for text in said}
        for _, text in sorted(blamed - self._blamed):
            log.warning("%s", text)
        self._blamed = blamed or self._blamed
        return answer

    def _complain(self, step: Step | None, error: Exception) -> None:
        problem = str(error)
        if self._problems.get(step) != problem:
            self._problems[step] = problem
            log.warning("handing the keys on: %s", problem)


def _about(attempt: Attempt) -> tuple[int, bytes, int]:
    return attempt.epoch, attempt.change_id, attempt.attempt

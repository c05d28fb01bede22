"""Certificates expire, the alliance does not: each party renews alone, and nothing else changes."""

from __future__ import annotations

import datetime
import shutil
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import grpc

from alliance.client import Client
from alliance.config import file as config_file
from alliance.config.parties import Party
from alliance.keys import folder as keys
from alliance.keys.channel import LIFETIME, Credentials, certify, utc_now
from alliance.net.channels import open_channel
from alliance.net.problems import plainly
from alliance.proofs.receipt import Receipt, load_public_key
from tests.alliance.conftest import Run
from tests.alliance.doors import attempt
from tests.alliance.farm import PASSPHRASE, Chain, Farm
from tests.alliance.network import Office, at, copy_home, serving

YEAR = datetime.timedelta(days=365)


def stopped(who: Credentials, now: datetime.datetime) -> Credentials:
    """A process whose clock stands still, so that its certificate of that time is all that it has."""
    return Credentials(who.party, who.signing_key, certify(who.party, who.signing_key, now), now=lambda: now)


def test_an_alliance_whose_certificates_have_all_expired_goes_on_when_each_party_has_renewed(
    farm: Farm, tmp_path: Path, chain: Chain, run: Run
) -> None:
    """The drill. Nobody asks anybody, and alliance.toml, keys and receipts are what they were."""
    old = utc_now() - 2 * YEAR
    everybody = [*farm.members, *farm.clients]
    folder = Path(shutil.copytree(farm.folder, tmp_path / "farm"))
    text = (folder / "alliance.toml").read_bytes()

    def home(party: Party) -> Path:
        return next(folder.glob(f"*/{party.name}"))

    async def who_reaches_whom(parties: list[Credentials]) -> list[grpc.StatusCode]:
        found = []
        async with AsyncExitStack() as stack:
            for index in range(6):
                port = await stack.enter_async_context(serving(farm, index, office, mine=parties[index]))
                for party in parties:
                    async with open_channel(at(farm.config, index, port), party) as channel:
                        found.append(await attempt(channel, "Status"))
        return found

    office = Office(tmp_path / "journal.sqlite", chain)
    for one in everybody:
        keys.renew(home(one.party), one.party, PASSPHRASE, lambda: old)
    expired = [stopped(one, old) for one in everybody]
    assert set(run(who_reaches_whom(expired))) == {grpc.StatusCode.UNAVAILABLE}
    for one in everybody:
        before, after = keys.renew(home(one.party), one.party, PASSPHRASE)
        assert before == (old + LIFETIME).replace(microsecond=0)
        assert after > utc_now()
    config = config_file.load(folder)
    assert (folder / "alliance.toml").read_bytes() == text
    assert config.alliance_id == farm.config.alliance_id
    renewed = [keys.load_credentials(home(one.party), one.party, PASSPHRASE) for one in everybody]
    assert {one.channel().certificate for one in renewed}.isdisjoint(
        one.channel().certificate for one in expired
    )
    assert set(run(who_reaches_whom(renewed))) == {grpc.StatusCode.OK}
    # One that has not renewed yet keeps nobody else from doing so.
    assert run(who_reaches_whom([*renewed[:7], expired[7]])).count(grpc.StatusCode.OK) == 6 * 7
    office.journal.close()


def test_whoever_meets_an_expired_certificate_is_told_what_to_do(
    farm: Farm, tmp_path: Path, chain: Chain, run: Run
) -> None:
    office = Office(tmp_path / "journal.sqlite", chain)

    async def problem(now: datetime.datetime) -> str:
        async with serving(farm, 0, office, mine=stopped(farm.members[0], now)) as port:
            members = (at(farm.config, 0, port), *farm.config.members[1:])
            async with Client(replace(farm.config, members=members), farm.clients[0], tmp_path) as client:
                return (await client._status(client.config, 0)).problem

    expired = run(problem(utc_now() - YEAR))
    assert (
        expired == "its TLS certificate has expired: 'alliance renew DIR' there, if the clock here is right"
    )
    assert "not yet valid: the clock here is behind" in run(problem(utc_now() + YEAR))
    office.journal.close()


def test_a_server_tells_until_when_its_certificate_is_valid(
    farm: Farm, tmp_path: Path, chain: Chain, run: Run
) -> None:
    office = Office(tmp_path / "journal.sqlite", chain)

    async def told() -> int:
        async with serving(farm, 0, office) as port:
            members = (at(farm.config, 0, port), *farm.config.members[1:])
            async with Client(replace(farm.config, members=members), farm.clients[0], tmp_path) as client:
                return (await client._status(client.config, 0)).certificate_expires

    assert run(told()) == int(farm.members[0].channel().expires.timestamp())
    office.journal.close()


def test_a_program_with_an_expired_certificate_renews_it_and_works(
    farm: Farm, tmp_path: Path, chain: Chain, run: Run
) -> None:
    home, client = tmp_path / "client", farm.config.clients[0]
    office = Office(tmp_path / "journal.sqlite", chain)

    async def proposed() -> Receipt:
        async with serving(farm, 0, office) as port:
            copy_home(farm, home, port)
            keys.renew(home, client, PASSPHRASE, lambda: utc_now() - YEAR)
            credentials = keys.load_credentials(home, client, PASSPHRASE)
            async with Client(config_file.load(home), credentials, home) as mine:
                return await mine.propose(b"open the gate")

    receipt = run(proposed())
    receipt.verify(load_public_key((farm.folder / "public.pem").read_bytes()))
    assert receipt.context == farm.config.context
    again = keys.load_credentials(home, client, PASSPHRASE).channel()
    assert again.expires > utc_now() + LIFETIME / 2
    office.journal.close()


def test_of_a_long_text_of_grpc_what_matters_is_found() -> None:
    text = (
        f"unavailable: failed to connect to {'x' * 300}; CERTIFICATE_VERIFY_FAILED: certificate has expired"
    )
    assert "alliance renew" in plainly(text)

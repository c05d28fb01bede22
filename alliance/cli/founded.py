"""What ``alliance init`` tells of an alliance that it has created."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alliance.cli.output import plural, say

if TYPE_CHECKING:
    from alliance.config.file import AllianceConfig
    from alliance.config.parties import Party
    from alliance.founding.ceremony_plan import CeremonyPlan
    from alliance.founding.request import Request

TRUST = (
    "The dealer, which was this process, saw every key: everybody in this alliance has trusted it, and this"
    " machine, to forget them. Its secrets (the primes, the whole RSA key) were never written and are gone."
)
TRUST_BY_REQUEST = (
    "The dealer, which was this process, saw the alliance's shared keys, and no key of a party: everybody has"
    " trusted it, and this machine, to forget them. Its secrets were never written and are gone."
)
TRUST_BY_CEREMONY = (
    "No dealer knows a key of this alliance: to sign without its members, all of {dealers} would have had to"
    " keep what they knew, and to collude. One that has forgotten is enough."
)


def on_one_machine(config: AllianceConfig, folder: Path) -> dict[str, Any]:
    """As JSON, where the dealer made everybody's folder."""
    report = _common(config, folder, TRUST)
    for kind in ("members", "clients"):
        for party in report[kind]:
            party["folder"] = str(folder / kind / party["name"])
    return report


def by_request(config: AllianceConfig, folder: Path, requests: Mapping[str, Request]) -> dict[str, Any]:
    """As JSON, where the parties made their own keys."""
    from alliance.founding.by_request import DEALING_FILE

    report = _common(config, folder, TRUST_BY_REQUEST) | {"dealing": str(folder / DEALING_FILE)}
    asked = {request.name: (file, request) for file, request in requests.items()}
    for party in (*report["members"], *report["clients"]):
        file, request = asked[party["name"]]
        party |= {"request": file, "request_fingerprint": request.fingerprint}
    return report


def by_ceremony(config: AllianceConfig, folder: Path, plan: CeremonyPlan) -> dict[str, Any]:
    """As JSON, where several dealers made the shared keys."""
    report = _common(config, folder, TRUST_BY_CEREMONY.format(dealers=", ".join(plan.dealers)))
    return report | {"plan_digest": plan.digest.hex(), "dealers": list(plan.dealers)}


def _common(config: AllianceConfig, folder: Path, note: str) -> dict[str, Any]:
    from alliance.founding.outcome import PUBLIC_KEY
    from alliance.keys.folder import public_file

    return {
        "directory": str(folder),
        "name": config.name,
        "alliance_id": config.alliance_id.hex(),
        "file_digest": file_digest(config),
        "members": [
            {"name": member.name, "organisation": member.organisation, "address": member.address}
            for member in config.members
        ],
        "clients": [{"name": client.name} for client in config.clients],
        "profile": config.system.profile,
        "faults": config.system.faulty_max,
        "decision_quorum": config.system.decision,
        "key_bits": config.key.key_size,
        "key_fingerprint": fingerprint(config),
        "public_key": str(folder / PUBLIC_KEY),
        "purposes": [
            {"name": purpose, "threshold": key.threshold, "public_key": str(folder / public_file(purpose))}
            for purpose, key in config.purpose_keys
        ],
        "note": note,
    }


def tell_on_one_machine(config: AllianceConfig, folder: Path) -> None:
    """For people."""
    _tell_public(config, folder)
    for kind, parties in (("members", config.members), ("clients", config.clients)):
        if parties:
            say(f"  {folder}/{kind}/   {_brief(parties)}")
    say("")
    say("Everybody compares, by telephone, what is in the folder with what the dealer reads out here:")
    tell_identifiers(config)
    say("")
    say(f"{TRUST} Hand each folder to its party, delete it here, and let the party run 'alliance rekey'.")
    say(
        "This way is for trying out, and for few who trust one another: with 'alliance request' and 'alliance"
    )
    say("init --from' every party makes its own keys.")
    say("")
    say("Next:")
    say(f"  alliance serve {folder}/members/{config.members[0].name}      (and every other member)")
    if config.clients:
        client = f"{folder}/clients/{config.clients[0].name}"
        say(f"  alliance status {client}")
        say(f"  alliance propose {client} 'open the gate' --receipt receipt.json")
        say(f"  alliance verify --key {folder}/public.pem receipt.json")


def tell_by_request(config: AllianceConfig, folder: Path, requests: Mapping[str, Request]) -> None:
    """For people."""
    from alliance.founding.by_request import DEALING_FILE
    from alliance.founding.request import grouped

    _tell_public(config, folder)
    say(f"  {folder}/{DEALING_FILE}   each member's shares, sealed to it; public")
    say("")
    say("Each party reads out by telephone the fingerprint of its request, which must be this one:")
    for file, request in requests.items():
        say(f"  {request.name:<20} {grouped(request.fingerprint)}   ({file})")
    say("If one differs, somebody has exchanged it on its way: do not go on with this alliance.")
    say("")
    say("Everybody compares what 'alliance join' tells with what the dealer reads out here:")
    tell_identifiers(config)
    say("")
    say(TRUST_BY_REQUEST)
    say("")
    say(f"Next: send all of {folder} to every party, by any way. Each of them runs, where its own folder is:")
    say(f"  alliance join {config.members[0].name} {folder.name}      (and every other party)")


def tell_by_ceremony(config: AllianceConfig, folder: Path, plan: CeremonyPlan) -> None:
    """For people."""
    _tell_public(config, folder)
    say(f"  {folder}/ceremony.plan, *.opening   what the dealers signed; each member's shares, sealed to it")
    say("")
    say("Everybody computes the same. Compare it with what the others get:")
    tell_plan(plan)
    tell_identifiers(config)
    say("")
    say(TRUST_BY_CEREMONY.format(dealers=", ".join(plan.dealers)))
    say("")
    say(f"Next: send all of {folder} to every party, by any way. Each of them runs, where its own folder is:")
    say(f"  alliance join {config.members[0].name} {folder.name}      (and every other party)")


def tell_plan(plan: CeremonyPlan) -> None:
    """What parties compare of a ceremony, before tell_identifiers."""
    say(f"  SHA-256 of ceremony.plan       {plan.digest.hex()}")


def tell_identifiers(config: AllianceConfig) -> None:
    """What parties compare. The alliance_id does not bind addresses and clients, the file's digest does."""
    say(f"  SHA-256 of alliance.toml       {file_digest(config)}")
    say(f"  alliance_id in alliance.toml   {config.alliance_id.hex()}")
    say(f"  SHA-256 of public.pem in DER   {fingerprint(config)}")


def file_digest(config: AllianceConfig) -> str:
    """Of alliance.toml as everybody has it first, as sha256sum prints it."""
    return sha256(config.to_toml().encode()).hexdigest()


def fingerprint(config: AllianceConfig) -> str:
    """Of the agreement key, as openssl computes it."""
    from alliance.proofs.receipt import key_fingerprint, load_public_key

    return key_fingerprint(load_public_key(config.key.to_pem()))


def sizes(config: AllianceConfig) -> str:
    """How many members do what, in one sentence's end."""
    system = config.system
    return (
        f"{plural(system.member_count, 'member')}, {system.decision} of them decide and sign,"
        f" {plural(system.faulty_max, 'fault')} withstood"
    )


def _tell_public(config: AllianceConfig, folder: Path) -> None:
    from alliance.config.file import ATTESTATION
    from alliance.keys.folder import public_file

    say(f"Founded '{config.name}': {sizes(config)}.")
    say(f"  {folder}/alliance.toml, public.pem   public; everybody has the same")
    for purpose, key in config.purpose_keys:
        what = "certify replies of applications" if purpose == ATTESTATION else f"sign for '{purpose}'"
        say(f"  {folder}/{public_file(purpose)}   {key.threshold} members {what}")
    withstood = config.system.faulty_max
    for organisation, count in Counter(member.organisation for member in config.members).items():
        if count > withstood:
            say(f"Note: '{organisation}' runs {count} members, and no more than {withstood} may fail or lie.")


def _brief(parties: Sequence[Party]) -> str:
    listed = [party.name for party in parties]
    return ", ".join(listed if len(listed) <= 6 else [*listed[:2], "…", listed[-1]])

"""A dealing file: what one dealer made, for all members in one public text.

It holds the public keys, and for each member its shares, sealed under a random key that is sealed to the
member's one-time key (HPKE of RFC 9180, base mode: DHKEM with X25519, HKDF-SHA256, AES-256-GCM). What is
sealed is bound to what it is a dealing for, to the member and to the keys, so nothing of it opens elsewhere.

Nobody has to take the dealer's word: a share fits its verification key, and the verification keys fit each
other and the public key, or the member that opens it finds out.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from Crypto.Protocol import HPKE
from Crypto.Protocol.DH import import_x25519_private_key, import_x25519_public_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from alliance.config.founding import KEYS_MAX
from alliance.config.framing import framed
from alliance.errors import ConfigError
from alliance.founding.public_text import name_of, read_json, require_unedited
from alliance.founding.request import Request
from alliance.keys import ed25519
from alliance.proofs.jsonform import base64, items, octets, packed
from quorum.threshold_rsa import (
    AgreementKey,
    InvalidAgreementKey,
    InvalidKeyFile,
    ThresholdRsaEndorser,
    WrongPassphrase,
    read_agreement_key,
)

FORMAT = "alliance-dealing/1"
FILE_BYTES_MAX = 64 * 1024 * 1024
"""One for 255 members and two keys of 2048 bits has 46 MB: each share file holds all verification keys."""
CONTEXT_BYTES = 32
_SEALING_KEY_BYTES = 32
_AEAD = HPKE.AEAD.AES256_GCM
_WRAP_DOMAIN = b"alliance/v1 dealing\x00"
_SIGNATURE_DOMAIN = b"alliance/v1 dealing signature\x00"

DealtKeys = Sequence[tuple[str, AgreementKey]]
"""(purpose, public key), in the order of alliance.toml."""


@dataclass(frozen=True, slots=True)
class SealedShares:
    """One member's part. ``wrapped_key`` opens with its one-time key, and then opens ``shares``.

    ``shares`` are sealed share files, one for each of the dealing's keys in their order.
    """

    member: str
    encapsulated: bytes
    wrapped_key: bytes = field(repr=False)
    shares: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Dealing:
    """``context``, 32 bytes, is what this is a dealing for: an alliance_id, or what a ceremony agreed on.

    ``operator`` is the Ed25519 key of the dealer's organisation and ``signature`` its signature on all the
    rest; both are empty where one dealer deals, whose work is known by the alliance_id.
    """

    context: bytes
    keys: tuple[tuple[str, AgreementKey], ...]
    members: tuple[SealedShares, ...]
    operator: bytes = b""
    signature: bytes = field(repr=False, default=b"")

    def statement(self) -> bytes:
        """What the operator signs: the domain, then all fields, each after its length as u32."""
        parts = [self.context, self.operator]
        parts += [part for purpose, key in self.keys for part in (purpose.encode(), key.to_bytes())]
        for sealed in self.members:
            parts += [sealed.member.encode(), sealed.encapsulated, sealed.wrapped_key, *sealed.shares]
        return _SIGNATURE_DOMAIN + framed(*parts)

    def signed(self, operator: Ed25519PrivateKey) -> Dealing:
        """The same dealing with this operator key's signature."""
        dealing = replace(self, operator=operator.public_key().public_bytes_raw())
        return replace(dealing, signature=operator.sign(dealing.statement()))

    def require_signature(self, operator: bytes, where: str) -> None:
        """Raises ConfigError unless the holder of this operator key (32 bytes) made this dealing."""
        signed = self.operator == operator and ed25519.is_signed(operator, self.signature, self.statement())
        if not signed:
            raise ConfigError(f"{where}: this dealing is not signed by its dealer's operator key")

    def open(
        self, request: Request, opening_key: X25519PrivateKey, where: str
    ) -> dict[str, ThresholdRsaEndorser]:
        """The shares of the member that made ``request``, by purpose, each checked against its whole dealing.

        ``where`` is the file, which errors begin with. Raises ConfigError.
        """
        names = [one.member for one in self.members]
        if request.name not in names:
            raise ConfigError(f"{where} holds no shares for '{request.name}': ask for the dealing file anew")
        index = names.index(request.name)
        sealed = self.members[index]
        try:
            secret = import_x25519_private_key(opening_key.private_bytes_raw())
            info = _info(self.context, request, self.keys)
            channel = HPKE.new(receiver_key=secret, aead_id=_AEAD, info=info, enc=sealed.encapsulated)
            sealing_key = channel.unseal(sealed.wrapped_key)
            if len(sealing_key) != _SEALING_KEY_BYTES:
                raise ValueError("it is no key that seals shares")
        except ValueError:
            raise ConfigError(
                f"{where}: the part for '{request.name}' does not open with the one-time key of its request:"
                " it was altered, or dealt for another request or alliance; ask for the dealing file anew"
            ) from None
        return {
            purpose: _opened(
                share, sealing_key, key, index, f"{where}: the share of '{request.name}' of the {purpose} key"
            )
            for (purpose, key), share in zip(self.keys, sealed.shares, strict=True)
        }

    def to_json(self) -> str:
        """The file's text; ``from_json`` gives back an equal value."""
        return json.dumps({"format": FORMAT} | self.to_table(), indent=1) + "\n"

    def to_table(self) -> dict[str, Any]:
        """As an object of JSON; ``from_table`` gives back an equal value."""
        table: dict[str, Any] = {
            "context": self.context.hex(),
            "keys": [{"purpose": name, "key": base64(key.to_bytes())} for name, key in self.keys],
            "members": [
                {
                    "name": one.member,
                    "encapsulated_key": one.encapsulated.hex(),
                    "wrapped_key": one.wrapped_key.hex(),
                    "shares": [share.decode("ascii") for share in one.shares],
                }
                for one in self.members
            ],
        }
        if self.operator:
            table |= {"operator": self.operator.hex(), "signature": self.signature.hex()}
        return table

    @classmethod
    def from_json(cls, text: str, where: str) -> Dealing:
        """Reads a dealing; ``open`` checks what it says. ``where`` is the file. Raises ConfigError."""
        dealing = read_json(text, where, "dealing file", FORMAT, FILE_BYTES_MAX, cls.from_table)
        require_unedited(dealing.to_json(), text, where, "its dealer made it", "ask for it anew")
        return dealing

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Dealing:
        """Raises AttributeError, KeyError, TypeError or ValueError, of which InvalidAgreementKey is one."""
        context = octets(table["context"])
        keys = tuple(
            (name_of(entry["purpose"]), read_agreement_key(packed(entry["key"])))
            for entry in items(table, "keys")
        )
        if len(context) != CONTEXT_BYTES or not 0 < len(keys) <= KEYS_MAX:
            raise ValueError(f"the context has {CONTEXT_BYTES} bytes, and there are 1 to {KEYS_MAX} keys")
        if len({purpose for purpose, _ in keys}) != len(keys):
            raise ValueError("two keys have one purpose")
        members = tuple(_sealed(entry, len(keys)) for entry in items(table, "members"))
        if len({one.member for one in members}) != len(members):
            raise ValueError("a member is there twice")
        if "operator" not in table and "signature" not in table:
            return cls(context, keys, members)
        return cls(context, keys, members, octets(table["operator"]), octets(table["signature"]))


def seal_shares(
    context: bytes,
    requests: Sequence[Request],
    keys: Sequence[tuple[str, AgreementKey, Sequence[ThresholdRsaEndorser]]],
) -> Dealing:
    """Seals the shares of each key, in the order of ``requests``, to the members that made these requests.

    ``keys`` are (purpose, public key, shares). Nothing secret is left in what it returns.
    """
    public = tuple((purpose, key) for purpose, key, _ in keys)
    members = []
    for index, request in enumerate(requests):
        if request.seat is None:
            raise ValueError(f"'{request.name}' is a client and gets no shares")
        sealing_key = secrets.token_bytes(_SEALING_KEY_BYTES)
        receiver = import_x25519_public_key(request.seat.opening_key)
        channel = HPKE.new(receiver_key=receiver, aead_id=_AEAD, info=_info(context, request, public))
        wrapped = channel.seal(sealing_key)
        shares = tuple(endorsers[index].seal(sealing_key) for _, _, endorsers in keys)
        members.append(SealedShares(request.name, channel.enc, wrapped, shares))
    return Dealing(context, public, tuple(members))


def _info(context: bytes, request: Request, keys: DealtKeys) -> bytes:
    """What a sealed part is bound to: whoever opens it for anything else gets nothing."""
    opening_key = request.seat.opening_key if request.seat is not None else b""
    bound = [context, request.name.encode(), request.identity, opening_key]
    for purpose, key in keys:
        bound += [purpose.encode(), key.key_id]
    return _WRAP_DOMAIN + framed(*bound)


def _opened(
    share: bytes, sealing_key: bytes, key: AgreementKey, index: int, what: str
) -> ThresholdRsaEndorser:
    try:
        endorser = ThresholdRsaEndorser.open(share, sealing_key, key)
        if endorser.member == index:
            return endorser
        reason = f"it is that of member {endorser.member + 1}, not of {index + 1}"
    except WrongPassphrase:
        reason = "it is sealed under another key"
    except (InvalidKeyFile, InvalidAgreementKey) as error:
        reason = str(error)
    raise ConfigError(
        f"{what} is wrong: {reason}. The dealer dealt falsely, or the file was altered:"
        " do not join, and tell the others"
    )


def _sealed(entry: Any, count: int) -> SealedShares:
    texts = items(entry, "shares")
    if len(texts) != count or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"a member has {len(texts)} shares for {count} keys")
    shares = tuple(text.encode("ascii") for text in texts)
    encapsulated, wrapped = octets(entry["encapsulated_key"]), octets(entry["wrapped_key"])
    return SealedShares(name_of(entry["name"]), encapsulated, wrapped, shares)

"""Wrong versions of what makes other public keys an alliance's, and of what the former ones are worth."""

from __future__ import annotations

from tests.campaigns.planted.planting import Bug, Edit, at

_CHANGE = "alliance.config.key_changes:KeyChange"
_CHECK = "alliance.config.key_check:_require_origin"
_DEALING = "consensus.control.dealing"
_EPOCH = "alliance.proofs.epoch_keys"
_REQUIRE = "quorum.new_keys:NewKeysDealing.require"
_SCHEME = "quorum.threshold_rsa:ThresholdRsaScheme"


def _bug(name: str, *edits: Edit) -> Bug:
    return Bug(name, "keys", edits)


KEYS = [
    _bug(
        "new keys: a share is not checked",
        at("shoup_rsa.redistribution.fresh:open_fresh", "share.check()", "pass"),
    ),
    _bug(
        "new keys: one dealer's come in the place of several dealers'",
        at("quorum.new_keys:require_one_dealer", "len(factors_of(key)) > 1", "False"),
    ),
    _bug(
        "new keys: the present modulus is another one",
        at(_REQUIRE, "if key.modulus in seen", "if False"),
    ),
    _bug(
        "new keys: they may be of any dealing",
        at(_REQUIRE, "key.corruptions, key.epoch)", "key.corruptions, epoch)"),
    ),
    _bug(
        "new keys: who is ready for others counts",
        at(f"{_DEALING}:ready", "command.transcript != active.new_keys.transcript", "False"),
    ),
    _bug(
        "new keys: the present ones are handed on, too",
        at(f"{_DEALING}:deal", "active.new_keys is not None", "False"),
    ),
    _bug(
        "new keys: nobody counts them",
        at(f"{_DEALING}:dealt", "ended.key_changes + (active.new_keys is not None)", "ended.key_changes"),
    ),
    _bug(
        "new keys: who slept does not find them in the log",
        at(f"{_DEALING}:dealt", "if active.new_keys is not None:", "if False:"),
    ),
    _bug(
        "new keys: their certificate is not verified",
        at(
            f"{_CHANGE}.follow",
            "self.certificate.verify(scheme.in_epoch(self.epoch - 1))",
            "pass",
        ),
    ),
    _bug(
        "new keys: the membership need not name them",
        at(f"{_CHANGE}.__post_init__", "not self.keys or transcript != named", "not self.keys"),
    ),
    _bug(
        "new keys: their changes follow in any order",
        at(f"{_CHANGE}.follow", "self.epoch - 1 <= scheme.former[-1].epoch", "False"),
    ),
    _bug(
        "new keys: alliance.toml may have any",
        at(_CHECK, "or not leads_to(dealt, terms.key_changes, keys, context)", ""),
    ),
    _bug(
        "new keys: those of an epoch to come lead to those of now",
        at("alliance.config.key_changes:leads_to", "change.epoch > context.epoch or ", ""),
    ),
    _bug(
        "new keys: the former one certifies behind its last slot",
        at("quorum.certificate:QuorumCertificate.verify", "last is not None and slot > last", "False"),
    ),
    _bug(
        "new keys: shares of the former one combine behind its last slot",
        at(f"{_SCHEME}._beyond", "self.last_slot is not None and slot > self.last_slot", "False"),
    ),
    _bug(
        "new keys: they check the last epoch of the former ones",
        at(f"{_SCHEME}.__init__", "context.epoch <= one.epoch", "context.epoch < one.epoch"),
    ),
    _bug(
        "new keys: a receipt under the former one is good on any slot",
        at(f"{_EPOCH}:EpochKeys.key_for", "slot > found.last_slot", "False"),
    ),
    _bug(
        "new keys: an epoch that is not known yet is a lie",
        at(f"{_EPOCH}:verify_in", "certificate.epoch > config.epoch", "False"),
    ),
    _bug(
        "new keys: the former one orders what desks sign",
        at(
            "alliance.signing.desk:Desk.judge",
            "self._keys.of(receipt.context.epoch).last_slot is not None",
            "False",
        ),
    ),
    _bug(
        "new keys: the former one certifies snapshots",
        at(
            "alliance.proofs.snapshot:counts",
            "scheme.in_epoch(certificate.epoch).last_slot is None",
            "True",
        ),
    ),
    _bug(
        "new keys: a desk that does not know them yet has refused",
        at(
            "alliance.signing.client:_Collection.ask",
            "said is None or said.epoch",
            "said is None or said.refusal or said.epoch",
        ),
    ),
]

"""A key without a dealer: RSA keys that n >= 3 t + 1 parties make together, and whose factors nobody knows.

    party = Party(settings, index, verify)               # each party; settings agreed on by all
    step = party.start()                                 # step.outgoing: to sign, and to send
    step = party.receive(sender, Signed(statement, body, signature))
    ...                                                  # until step.outcome is a Success or a Failure
    verdict = validate(party.transcript.to_bytes(), verify)    # anybody, later, from the transcript alone

Nothing here knows a network, a clock or a disk. The layer above signs each `Outgoing.statement` with its
party's identity, and brings the message to its receiver, or to all, its own party included. Private messages
need confidential channels. All parties are online and every round waits for all: whoever is silent is for the
layer above to give up (`Party.expire`). `Party.body_length_max` bounds what has to be read.

A `Success` holds an ordinary key of Protocol 3 in epoch 0, whose origin is "distributed", and this party's
share: make it durable. A party may end with a Failure where another one has a Success, because somebody fell
silent in the last round; then the key is not to be used.


Specification
-------------
D. Boneh, M. Franklin, "Efficient Generation of Shared RSA Keys", J. ACM 48 (2001), with the multiplication of
M. Ben-Or, S. Goldwasser, A. Wigderson (STOC 1988); each step is specified where it is computed. In a batch:

COMMIT           a hash of all seeds, each of which is hashed by itself; seeds are independent  .seeds
SIEVE_SHARES     shares of residues modulo small primes; p and q are put together from them     .sieve
SIEVE_OPENING    which residues are 0 or 1, of which spare ones take the place
PRODUCT_SHARES   shares of p and q                                                               .product
PRODUCT_OPENING  N = p q of every candidate; those without a prime factor below 2^17 are tested
TEST_COMMIT      a hash of one round's values of the biprimality test                            .biprimality
TEST_OPENING     the values. The first candidate that passes is kept
SEED_OPENING     the seeds of ALL OTHERS: everybody computes again what all should have sent     .replay
VERDICT          nothing, or a private message that is not what its sender's seeds say           .judging

If a candidate is kept, else another batch follows:

FINAL_SHARES     shares of p + q - 1 and of a random number                                      .final
FINAL_COMMIT     a hash of what comes next
FINAL_OPENING    64 more rounds of the test, a masked p + q - 1, p_i + q_i mod e, and h_i^2
EXPONENT         v^((p_i + q_i) / 4) and v^d_i with v = prod h_i^2: in the exponent, what was tested is used
DEALING          d_i, dealt to all receivers (shoup_rsa.redistribution.additive); all must deal    .outcome
TRIAL            shares of the eight trial signatures on a hash of the key, with proofs
CONFIRM          the key's name

KEPT_OPENING     if the kept candidate fails: its seeds as well; then KEPT_VERDICT, and another batch

All messages name a hash of all earlier broadcasts. Who has got other ones than the others shows what it got,
and who signed two different ones is convicted (.accusation). `validate` does it all again.


What it gives, and what not
---------------------------
* COVERT SECURITY, with abort and identifiable blame: t parties may do what they like, and learn nothing; but
  they can make the generation fail, and are named for it. A deviation at a candidate that is rejected is
  found with certainty, at the one that is accepted only if it changes a result. Nobody knows beforehand which
  one that will be, of about 3900 at 2048 bits. This is less than security against malicious parties.
* Whoever fails only by silence is named by those who waited; no transcript proves it.
* p and q are random primes that are 2 modulo the primes up to n, and not safe primes. That N has proofs of
  shares that convince therefore rests on the assumption that nobody finds an element of low order in Z_N*,
  beside what Shoup's paper needs. Unforgeability does not. That p is not 1 modulo a small prime is tested of
  the accepted candidate by nothing but the odds above.
* Everybody learns N, and p + q mod 65537: sixteen bits that could be guessed.
* A party that fails can be left out, and the others can begin anew, as long as they are 3 t' + 1.
* Python's integers are not constant in time, except in exponentiations; see `shoup_rsa`.
"""

from shoup_rsa.dealerless.blame import Culprit
from shoup_rsa.dealerless.message import Outgoing, Phase, Signed
from shoup_rsa.dealerless.party import Failure, Party, Step, Success
from shoup_rsa.dealerless.settings import Settings
from shoup_rsa.dealerless.validator import Verdict, validate

__all__ = [
    "Culprit",
    "Failure",
    "Outgoing",
    "Party",
    "Phase",
    "Settings",
    "Signed",
    "Step",
    "Success",
    "Verdict",
    "validate",
]

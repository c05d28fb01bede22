"""A key that outlives its dealer: its members hand it on, to the same members or to others.

N, e, v and u stay, and with them every signature, old and new; the shares are new, and old ones do not
combine with them. Refreshing (to the same members), resharing (to other members, another n or k) and
recovering a lost share (to the same members, one of whom only receives) are three uses of one protocol.

    order = Order(key, parties=7, threshold=6, corruptions=1, index_bound=7, attempt=0, context=b"alliance")
    secret = generate_receiver(order.receiver_bits)                  # each new member; posts secret.key, or
                                                                     # did so before: receiver_bits_ahead
    redistribution = Redistribution(order, receivers)                # everybody
    data = deal(redistribution, key_share).to_bytes(redistribution)  # each old member; posts data
    judgement = judge(redistribution, posted)                        # everybody, in the order of the log
    outcome = conclude(redistribution, judgement.valid)              # outcome.public_key, once there are k
    key_share = receive(outcome, index, secret)                      # each new member

Nothing here knows a network, a log, a disk or a clock. The caller brings an ordered log that says who posted
what. There are no complaints and no time-outs: a dealing proves by itself that all receivers can use it.


Specification
-------------
Sizes       D = M!, c = 2 D^3 of the present key, D', c' of the next, T' = 2 D', g = D' / D; B bounds |d~|.
Share       sum lambda_j sigma_j = D c d~ over every k members of a key of Protocol 3, where
            lambda_j = D prod i / (i - j).
Dealing     q_j, rem_j = divmod(g^2 sigma_j, 2 D^2). F_j(X) = T' q_j + sum 2 a_c X^c with a_c uniform below
            R' = 2^128 k' (k' - 1) T' 2 D'^2 B. Posted: rem_j, Q_j = v^q_j, c_c = v^a_c, and for each receiver
            i an encryption of F_j(i) under its own key of Paillier's, with two proofs.
Images      Y_ji = Q_j^T' prod (c_c^2)^(i^c) = v^F_j(i): everybody computes them.
Proofs      Q_j^(2 D^2) v^rem_j = v_j^(g^2): it deals its own share, v_j being known. That needs no proof.
            (A, z): ch_c = hash(.., A, c), (v^z)^2 = (A prod c_c^ch_c)^2 and z < R' 2^265: no a_c is longer.
            (x, z, za): x = hash(.., ct, Y_ji, v^z Y_ji^-x, E(z; za) ct^-x): ct holds the logarithm of Y_ji.
            Every hash begins with the redistribution's digest: key, sizes, attempt, context, receivers.
Lambda      the first k valid dealings in the log's order with rho = sum lambda_j rem_j / 2 D^2 an integer.
            One dealing a dealer, the first one posted, valid or not.
New share   sigma'_i = sum lambda_j F_j(i) + T' rho + O' i. At 0 it is T' (sum lambda_j q_j + rho) = c' d~.
            v'_i = prod Y_ji^lambda_j v^(T' rho + O' i), and the new key passes check_dealing.
First time  From Protocols 1 and 2, and at a restart: sum lambda_j s_j = kappa d mod m with kappa = 1
            (Protocol 2), n! (1) or D c (3). With alpha kappa + beta e = 1 (alpha, beta integers):
            d~ = alpha sum lambda_j s_j + beta. q_j = D'^2 alpha s_j, rem_j = 0, rho = D'^2 beta.

Why it hides d: shoup_rsa.integer_form. Why one honest dealer is enough: its masks alone hide the difference
between two worlds. Two dealings of one dealer with the same random numbers would not hide it, so a dealing is
durable before it is posted.


What cannot be had
------------------
* k old members who keep their old shares sign for ever. A redistribution is as good as n - k + 1 erasures.
* One N has one threshold at a time, and a lower k lowers the bar for all that N ever signed.
* The dealer's knowledge of p and q survives. Refreshing heals stolen shares, never a dishonest dealer; who
  knows the factors can spoil shares so that later attempts fail (a restart heals it), or sign alone.
* What protects the subshares on the log is Paillier's encryption, for as long as N protects signatures.
* Nothing here says who posted a dealing, nor that the order was agreed upon: the log must.
"""

from shoup_rsa.errors import InvalidDealing, InvalidReceiver, NoNewShare
from shoup_rsa.redistribution.deal import deal
from shoup_rsa.redistribution.message import SealedSubshare, ShareDealing, dealing_length
from shoup_rsa.redistribution.order import Order, receiver_bits_ahead
from shoup_rsa.redistribution.outcome import Outcome, conclude, receive
from shoup_rsa.redistribution.receivers import ReceiverKey, ReceiverSecret, generate_receiver
from shoup_rsa.redistribution.transcript import Redistribution
from shoup_rsa.redistribution.verdict import Judgement, VerifiedDealing, judge, verify_dealing

__all__ = [
    "InvalidDealing",
    "InvalidReceiver",
    "Judgement",
    "NoNewShare",
    "Order",
    "Outcome",
    "ReceiverKey",
    "ReceiverSecret",
    "Redistribution",
    "SealedSubshare",
    "ShareDealing",
    "VerifiedDealing",
    "conclude",
    "deal",
    "dealing_length",
    "generate_receiver",
    "judge",
    "receive",
    "receiver_bits_ahead",
    "verify_dealing",
]

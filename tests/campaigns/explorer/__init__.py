"""The explorer: everything that can happen to small instances of the real engine, and twins.

``search`` visits every state that correct members can reach together while one member lies; ``menu`` says
what can happen, ``steps`` what that is in the engine's own events, ``engine`` runs one turn of one member,
``checks`` what must hold, ``schedule`` prints and replays a counterexample. ``twins`` enumerates scenarios.

A state is the tuple of the members' states. What was said stays deliverable, to anybody, any number of
times, in any order; nothing has to be delivered. So there is no network in a state but what each member
ever said.

The liar, one of six or four: as acceptor it accepts, endorses and suspects everything, and tells whom it
likes; it reports nothing, any log as accepted in any earlier view, or any certificate, with or without
more. As leader it proposes every value to everybody, under the right root and a wrong one, and opens its
view with every choice of Reports, with every wrong vector, and with one Report twice.

In profile lean, of four members, the liar reports only what it has evidence for (the gate asks for it), and a
NewView is carried out when its progress certificate arrives.

A bound: so many crashes, and so many *news*. The news are that somebody who has more to say hears a
certificate, a proven log, or votes enough to decide. Whoever said its last word hears all there is, and what
a NewView brings along costs nothing.

What makes this small, and why nothing is lost by it:

1. *Members are functions.* Whatever a member does depends on its own state and the event: each turn is
   computed once, by the real engine, and looked up from then on. States are compared in the form of
   ``freeze``.
2. *Followers are alike.* Members that lead no explored view differ by their number only, and correct
   engines use numbers to tell members apart. Their states are sorted: one state stands for up to 120.
3. *Words are heard together.* Accepted only adds to what a learner counts, and counting shows in nothing
   until it decides. So a member hears all that was accepted in its view at once, when that decides; each
   decision that some of it brings, all of it brings, too. That nothing of it is left after a change of view
   is not assumed: each change of view is also tried after hearing everything.
4. *What waits is not delivered.* A proposal that comes too early is kept and used later: the same as one
   that comes later. The same holds for Reports until they are enough, and for a NewView whose batches are
   missing. To have it delivered early is tried, and anything but silence is another state.
5. *Certificates are there when they can be.* Members endorse all they accept at once; a certificate exists
   when, with the liar's share, there are shares enough, and may reach anybody or nobody. Sharing and
   combining are for the other tests; the stand-in scheme signs.
6. *Anybody may enter any view at any time.* A Suspect does not fence, so an election proof may have been
   ready from the beginning: this is more than timers can bring about.
7. *NewViews with one outcome are one.* What members do with a NewView follows from its view, its base and
   its vector; which Reports it quotes matters for its validity and its digest, of which equality alone is
   used. Of a liar's NewViews with the same outcome one is offered. For each choice of Reports two orders
   are tried. A quorum that follows one makes its progress certificate.
8. *Clients are free.* A correct leader proposes any value, so what is in its pools does not matter (nobody
   leads twice, but for the liar). Batches are supplied as soon as they are asked for.
9. *What could have been before was before.* When somebody is in a later view, nobody who is not does
   anything but enter, until there is a certificate of the later view: nothing else reaches it from there,
   so that its step could as well have come first.
10. *Last words.* A member that accepted the only slot in the last view says no more. What may still happen
   to it is tried at once, in each state; the others do not wait for it.

Not explored: heartbeats with Status and Fetch, checkpoints and state transfer, time, and bad shares.
"""

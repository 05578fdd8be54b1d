"""Critical registers: small values that a majority of seats agrees on, one register at a time.

A register is a CASPaxos instance: no leader, no log. To change it a *proposer* picks a ballot, has a quorum
of *acceptors* promise it and tell what they accepted last, applies the change to the value of the highest
ballot among that, and has a quorum accept the outcome. Each acceptor is a *seat*: its promises are on disk
before anyone hears of them, and a disk that lost or forgot them is another seat. Which seats there are is
itself a register, the *configuration*.

What holds: of one register, all accepted quorums form a chain in which each value was made from the one
before it. So a register is linearizable, whoever proposes and whatever is lost, repeated or late; only
progress needs a majority that can talk.

Sources: D. Rystsov, "CASPaxos: Replicated State Machines without logs" (2018); L. Lamport, "Paxos Made
Simple" (2001); for the joint majorities, D. Ongaro and J. Ousterhout, "In Search of an Understandable
Consensus Algorithm" (2014), section 6.
"""

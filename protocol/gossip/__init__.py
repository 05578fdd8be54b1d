"""Who is reachable: SWIM with the Lifeguard refinements, as pure cores.

`membership` is the state machine that a driver feeds; the other rooms hold one idea each. Nothing here reads
a clock, opens a socket or draws from a global generator.

Source: Das, Gupta, Motivala, "SWIM: Scalable Weakly-consistent Infection-style Process Group Membership
Protocol" (2002); Dadgar, Phillips, Currey, "Lifeguard: Local Health Awareness for More Accurate Failure
Detection" (2018); the constants are those of hashicorp/memberlist.
"""

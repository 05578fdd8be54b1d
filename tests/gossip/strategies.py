"""Hypothesis strategies for what gossip carries."""

from __future__ import annotations

from folkmoot.protocol.gossip.members import NOWHERE, Description, Endpoint, Member, State
from folkmoot.protocol.limits import INCARNATION_MAX
from hypothesis import strategies as st

node_ids = st.binary(min_size=16, max_size=16)
incarnations = st.one_of(st.integers(0, 4), st.integers(0, INCARNATION_MAX))
hosts = st.one_of(
    st.ip_addresses().map(str),
    st.from_regex(r"[a-z]([a-z0-9-]{0,5}[a-z0-9])?(\.[a-z]{1,4})?", fullmatch=True),
)
endpoints = st.one_of(st.just(NOWHERE), st.builds(Endpoint, hosts, st.integers(0, 65_535)))
meta_values = st.one_of(st.integers(0, 2**63), st.text(max_size=8), st.binary(max_size=16))
descriptions = st.builds(
    Description,
    name=st.text(max_size=12),
    region=st.text(max_size=4),
    peer=endpoints,
    datagram=endpoints,
    client=endpoints,
    meta=st.dictionaries(st.text(max_size=6), meta_values, max_size=3),
)
# A claim is about an incarnation that was described, or an earlier one.
members = st.builds(
    Member,
    node_id=node_ids,
    description=descriptions,
    described=incarnations,
    state=st.sampled_from(State),
    incarnation=incarnations,
).map(Member.as_described)

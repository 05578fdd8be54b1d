"""How a machine becomes a node with one token: grants, certificates and introductions."""

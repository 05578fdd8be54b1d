"""How `folkmoot node join --token` makes a node of a machine."""

"""What people do with their accounts: the rooms behind `folkmoot user`."""

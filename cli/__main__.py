"""`python -m folkmoot.cli`."""

from __future__ import annotations

from folkmoot.cli.main import main

main()

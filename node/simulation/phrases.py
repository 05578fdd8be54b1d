"""What people in simulated runs say."""

from __future__ import annotations

from typing import Final

# What the policy has something to say to: it labels the first, holds the second and refuses the third.
JUDGED_PHRASES: Final = ("cheap followers", "make money fast", "send me your private key")
PHRASES: Final = ("good morning",) * 12 + JUDGED_PHRASES
TAGS: Final = ("tea", "Tea", "coffee")

"""The community: who has which role, and by which policy everybody is judged, agreed upon."""

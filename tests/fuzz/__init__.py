"""Generated requests and operations, on both APIs, by two users who must never see each other's data."""

"""The doors of core, one file per noun: what both APIs call."""

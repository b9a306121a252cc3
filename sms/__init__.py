"""Decides nothing yet: how a message reaches an SMS gateway."""

"""Decides nothing yet: sign-in brought by partner identity providers, behind the Protocols that it will define."""

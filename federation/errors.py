"""Decides how a statement is refused."""


class InvalidEntityStatement(Exception):
    """The statement breaks a rule. The text names the rule for the log and repeats nothing the peer wrote."""

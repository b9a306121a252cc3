"""What a show found: plain lines on standard output; one failed claim fails the show."""

import sys


class Findings:
    """What a show found: printed line by line; one failed claim fails the show."""

    def __init__(self) -> None:
        self.failed = 0

    def say(self, text: str) -> None:
        """Print a plain line."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def hold(self, claim: str, holds: object, detail: object = "") -> None:
        """Print whether a claim holds."""
        self.failed += not holds
        self.say(f"{'  ok  ' if holds else 'FAILED'}  {claim}{f': {detail}' if detail or detail == 0 else ''}")

    def finish(self) -> None:
        """Exit with 1 when a claim failed."""
        self.say("every claim holds" if not self.failed else f"{self.failed} claims FAILED")
        sys.exit(1 if self.failed else 0)

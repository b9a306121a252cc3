"""Decides the words of a "no" while signing in; each ``code`` is the message key and none says whether an account exists."""

from typing import ClassVar

from idp.authenticators.rules.proof_of_work import Puzzle
from idp.kernel.errors import Refusal


class WrongCredentials(Refusal):
    """Identifier and password do not belong together; the same for unknown identifiers."""

    code: ClassVar[str] = "wrong_credentials"


class ProofWanted(Refusal):
    """Many passwords wait: this one is compared when the browser worked for it. Only the load decides, never who is named."""

    code: ClassVar[str] = "proof_wanted"

    def __init__(self, puzzle: Puzzle) -> None:
        super().__init__()
        self.puzzle = puzzle


class SignInDelayed(Refusal):
    """Too many wrong attempts; ``seconds`` to wait."""

    code: ClassVar[str] = "sign_in_delayed"


class SignInLocked(Refusal):
    """This way is locked here; ``minutes`` left, ``time`` of day (Asia/Shanghai) when it opens."""

    code: ClassVar[str] = "sign_in_locked"


class CodeSignInLocked(Refusal):
    """Signing in by code is locked here; ``minutes`` left, ``time`` of day (Asia/Shanghai) when it opens."""

    code: ClassVar[str] = "code_sign_in_locked"


class CodeOrDocumentWrong(Refusal):
    """The code, or the end of the document number that was asked with it, is wrong; ``tries`` left. It never says which."""

    code: ClassVar[str] = "code_or_document_wrong"


class CodeWrong(Refusal):
    """The code is wrong; ``tries`` left."""

    code: ClassVar[str] = "code_wrong"


class CodeDead(Refusal):
    """The code was tried too often and is void."""

    code: ClassVar[str] = "code_dead"


class CodeGone(Refusal):
    """There is no valid code: expired, used, replaced or lost."""

    code: ClassVar[str] = "code_gone"


class ResendLocked(Refusal):
    """Another code was asked for too often; ``minutes`` left, ``time`` when it opens (S02)."""

    code: ClassVar[str] = "resend_locked"


class SendingLocked(Refusal):
    """The lock of ``ResendLocked``, in a flow that had no code yet; ``minutes`` left, ``time`` when it opens."""

    code: ClassVar[str] = "sending_locked"


class SmsForAnother(Refusal):
    """The last message to this phone is less than a minute old and belongs to another flow; ``seconds`` to wait."""

    code: ClassVar[str] = "sms_for_another"


class SmsTooSoon(Refusal):
    """The last message to this phone is less than a minute old; ``seconds`` to wait."""

    code: ClassVar[str] = "sms_too_soon"


class SmsLimitReached(Refusal):
    """The phone, address or device had its messages of this hour or day; ``time`` when more are possible."""

    code: ClassVar[str] = "sms_limit_reached"


class SmsBusy(Refusal):
    """The installation's own budget of this minute is used up."""

    code: ClassVar[str] = "sms_busy"


class PasswordLength(Refusal):
    """A new password is shorter than ``shortest`` or longer than ``longest`` characters."""

    code: ClassVar[str] = "password_length"


class PasswordPersonal(Refusal):
    """A new password is nothing but the person's own name, document number or phone, or parts of them."""

    code: ClassVar[str] = "password_personal"


class PasswordCommon(Refusal):
    """A new password is one that many people have, or a pattern that anybody tries."""

    code: ClassVar[str] = "password_common"


class PasskeyRefused(Refusal):
    """What the browser answered proves no passkey of ours: another page's, an older page's, or not signed as we asked."""

    code: ClassVar[str] = "passkey_refused"


class PasskeysFull(Refusal):
    """The person has as many passkeys as one may have."""

    code: ClassVar[str] = "passkeys_full"

"""Decides the words of a "no" while somebody registers or proves more; none says which item an authority did not agree with."""

from typing import ClassVar

from idp.kernel.errors import Refusal


class RegistrationRefused(Refusal):
    """The risk service advises against this registration; the window is open (S07)."""

    code: ClassVar[str] = "registration_refused"


class IdentityMismatch(Refusal):
    """Name and document number do not belong together in the register."""

    code: ClassVar[str] = "identity_mismatch"


class IdentityNotFound(Refusal):
    """The register has no record that it may confirm; the window can look further."""

    code: ClassVar[str] = "identity_not_found"


class ChecksLimited(Refusal):
    """So many checks were made today that no more is; tomorrow, or the window."""

    code: ClassVar[str] = "checks_limited"


class ChecksBusy(Refusal):
    """So many checks are made from here, or by everybody, that this one has to wait: ``seconds``, ``minutes``, ``time``."""

    code: ClassVar[str] = "checks_busy"


class StartsLimited(Refusal):
    """Too many registrations were begun from this address or device: ``seconds``, ``minutes``, ``time``."""

    code: ClassVar[str] = "starts_limited"


class AccountExists(Refusal):
    """Who registers has an account already; said only after the register's match and the phone's code (S11)."""

    code: ClassVar[str] = "account_exists"


class ItemsTooFew(Refusal):
    """Fewer than two items were given; nothing was asked (S34)."""

    code: ClassVar[str] = "items_too_few"


class ItemsInsufficient(Refusal):
    """Too few items match; ``missing`` more are needed. It never says which did not."""

    code: ClassVar[str] = "items_insufficient"


class ItemIsDocument(Refusal):
    """The document number was typed again as an item (S54); ``field`` names the field."""

    code: ClassVar[str] = "item_is_document"


class AuthorityUnavailable(Refusal):
    """An authority did not answer; ``kinds`` names the items, comma separated. What was typed is kept (S37)."""

    code: ClassVar[str] = "authority_unavailable"


class StillChecking(Refusal):
    """Another request of this registration is asking the authorities at this moment."""

    code: ClassVar[str] = "still_checking"


class DraftMoved(Refusal):
    """The form belongs to a step that the registration has left; it goes on where it stands."""

    code: ClassVar[str] = "draft_moved"


class DraftExpired(Refusal):
    """There is no such registration any more."""

    code: ClassVar[str] = "draft_expired"


class PhoneFull(Refusal):
    """So many people use this phone already that it cannot serve another one."""

    code: ClassVar[str] = "phone_full"


class NotRaisable(Refusal):
    """This account cannot be raised online: it has no document or no phone, or may not act now; the window can."""

    code: ClassVar[str] = "not_raisable"


class RegisterUnknown(Refusal):
    """The register was asked again and has no such person that it may confirm: reported dead, or not found (S21)."""

    code: ClassVar[str] = "register_unknown"


class RecoveryUnproved(Refusal):
    """Not enough agrees to give somebody a new password; another item may be tried. It never says which did not."""

    code: ClassVar[str] = "recovery_unproved"


class RecoveryGone(Refusal):
    """There is no such recovery any more: too old, finished, or begun elsewhere."""

    code: ClassVar[str] = "recovery_gone"

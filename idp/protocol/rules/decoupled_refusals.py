"""Decides the words of a request from another device that cannot be answered here."""

from typing import ClassVar

from idp.kernel.errors import Refusal


class RequestGone(Refusal):
    """The request was answered, took too long, or was lost: the other device begins again."""

    code: ClassVar[str] = "request_gone"


class RequestOfAnother(Refusal):
    """The request is for another person than the one who is signed in."""

    code: ClassVar[str] = "request_of_another"


class RequestRefusedHere(Refusal):
    """This department may not be used by this person."""

    code: ClassVar[str] = "request_refused_here"


class DeviceFormForged(Refusal):
    """The code was not typed on our own page."""

    code: ClassVar[str] = "device_form_forged"


class DeviceTriesLimited(Refusal):
    """So many codes were typed in this network that none is looked up for a while."""

    code: ClassVar[str] = "device_tries_limited"

"""Decides how a message reaches Aliyun's SMS service, and what its answers mean for us."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2

from sms.acs3 import EMPTY_BODY_HASH, encode_query, sign_request, write_authorization
from sms.gateway import Action, Receipt, ShortMessage, SmsRefused, SmsUnavailable, read_mainland_number
from sms.templates import find_template

TIMEOUT = 8.0
"""Seconds for one call."""

MAXIMUM_ANSWER = 65_536

REFUSALS: Mapping[str, tuple[str, Action]] = {
    # The person has to wait. Never ask another vendor at once: that is what the limit is there to stop.
    "isv.BUSINESS_LIMIT_CONTROL": ("flow_control", Action.WAIT),
    "isv.OUT_OF_SERVICE": ("quota", Action.FAIL_OVER),
    "isv.AMOUNT_NOT_ENOUGH": ("quota", Action.FAIL_OVER),
    "isv.DAY_LIMIT_CONTROL": ("quota", Action.FAIL_OVER),
    "isv.MONTH_LIMIT_CONTROL": ("quota", Action.FAIL_OVER),
    "isv.SMS_TEMPLATE_ILLEGAL": ("template", Action.FAIL_OVER),
    "isv.TEMPLATE_MISSING_PARAMETERS": ("template", Action.FAIL_OVER),
    "isv.SMS_SIGN_ILLEGAL": ("sign_name", Action.FAIL_OVER),
    "isv.SIGN_STATE_ILLEGAL": ("sign_name", Action.FAIL_OVER),
    "isv.SMS_SIGNATURE_SCENE_ILLEGAL": ("sign_name", Action.FAIL_OVER),
    "isv.SMS_SIGNATURE_ILLEGAL": ("sign_name", Action.FAIL_OVER),
    "isv.MOBILE_NUMBER_ILLEGAL": ("phone_number", Action.TELL_PERSON),
    "SignatureDoesNotMatch": ("credentials", Action.ALARM),
    "InvalidAccessKeyId.NotFound": ("credentials", Action.ALARM),
    "isp.RAM_PERMISSION_DENY": ("credentials", Action.ALARM),
    "InvalidTimeStamp.Expired": ("clock", Action.ALARM),
}
"""The vendor's code → our reason and what follows. A code that is not here may pass when sent again."""


class AliyunGateway:
    """Sends through ``SendSms`` (2017-05-25) over a shared client. ``templates``: our template name → the vendor's template code."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        *,
        endpoint: str,
        access_key_id: str,
        access_key_secret: str,
        sign_name: str,
        templates: Mapping[str, str],
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._client = client
        self._endpoint = endpoint.rstrip("/")
        self._host = urlsplit(endpoint).netloc
        self._access_key_id = access_key_id
        self._secret = access_key_secret
        self._sign_name = sign_name
        self._templates = templates
        self._clock = clock
        self._random = random

    async def send(self, message: ShortMessage) -> Receipt:
        """Hand one message over. Raises SmsRefused or SmsUnavailable."""
        url, headers = self.prepare(message)
        try:
            response = await self._client.post(url, headers=headers, timeout=TIMEOUT)
        except httpx2.TimeoutException:
            raise SmsUnavailable("timeout") from None
        except httpx2.HTTPError:
            raise SmsUnavailable("connection") from None
        return _read_answer(response.content)

    def prepare(self, message: ShortMessage) -> tuple[str, dict[str, str]]:
        """Return address and signed headers of the request. Raises SmsRefused for a message that cannot be sent."""
        template = find_template(message.template, message.parameters)
        code = self._templates.get(template.name)
        if code is None:
            raise SmsRefused("template_unknown", Action.ALARM)
        parameters = json.dumps(template.pick(message.parameters), ensure_ascii=False, separators=(",", ":"))
        query = encode_query(
            (
                ("OutId", message.message_id),
                ("PhoneNumbers", read_mainland_number(message.phone)),
                ("SignName", self._sign_name),
                ("TemplateCode", code),
                ("TemplateParam", parameters),
            )
        )
        headers = {
            "accept": "application/json",
            "host": self._host,
            "user-agent": "yizheng",
            "x-acs-action": "SendSms",
            "x-acs-content-sha256": EMPTY_BODY_HASH,
            "x-acs-date": self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": self._random(16).hex(),
            "x-acs-version": "2017-05-25",
        }
        names = sorted(headers)
        signature = sign_request(self._secret, "POST", "/", query, headers, names, EMPTY_BODY_HASH)
        headers["authorization"] = write_authorization(self._access_key_id, names, signature)
        return f"{self._endpoint}/?{query}", headers


def _read_answer(content: bytes) -> Receipt:
    if len(content) > MAXIMUM_ANSWER:
        raise SmsUnavailable("answer")
    try:
        answer: Any = json.loads(content)
    except (ValueError, RecursionError):
        raise SmsUnavailable("answer") from None
    code = answer.get("Code") if isinstance(answer, dict) else None
    if not isinstance(code, str):
        raise SmsUnavailable("answer")
    if code == "OK":
        reference = answer.get("BizId")
        return Receipt(reference[:64] if isinstance(reference, str) else "")
    if code in REFUSALS:
        raise SmsRefused(*REFUSALS[code])
    raise SmsUnavailable("vendor")

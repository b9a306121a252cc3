"""Decides what our messages say: every template, its parameters and its text; the same text is registered with the vendor.

No text holds a link, and each says for whom and for what it is, so a forwarded code shows what it would open.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from string import Template as _Text

from sms.gateway import MAXIMUM_VALUE, Action, SmsRefused


@dataclass(frozen=True)
class MessageTemplate:
    """A registered text. ``code`` stands for the vendor's template code in demo and tests; production names its own in the settings."""

    name: str
    code: str
    text: str
    parameters: tuple[str, ...]

    def pick(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return exactly this template's parameters; SmsRefused when one is missing, over-long, or could be a link."""
        picked = {}
        for name in self.parameters:
            value = given.get(name)
            if not isinstance(value, str) or not 1 <= len(value) <= MAXIMUM_VALUE or not value.isprintable() or "/" in value:
                raise SmsRefused("template_parameters", Action.ALARM)
            picked[name] = value
        return picked


TEMPLATES: Mapping[str, MessageTemplate] = {
    template.name: template
    for template in (
        MessageTemplate(
            "sign_in_code",
            "SMS_100000001",
            "${name}，您的登录验证码是${code}，${minutes}分钟内有效。请勿告诉他人。",
            ("name", "code", "minutes"),
        ),
        MessageTemplate(
            "unnamed_sign_in_code",
            "SMS_100000002",
            "您的登录验证码是${code}，${minutes}分钟内有效。请勿告诉他人。",
            ("code", "minutes"),
        ),
        MessageTemplate(
            "registration_code",
            "SMS_100000003",
            "${name}，您注册账号的验证码是${code}，${minutes}分钟内有效。不是本人操作请勿理会，请勿告诉他人。",
            ("name", "code", "minutes"),
        ),
        MessageTemplate(
            "unnamed_registration_code",
            "SMS_100000009",
            "您注册账号的验证码是${code}，${minutes}分钟内有效。不是本人操作请勿理会，请勿告诉他人。",
            ("code", "minutes"),
        ),
        MessageTemplate(
            "recovery_code",
            "SMS_100000004",
            "${name}，您找回密码的验证码是${code}，${minutes}分钟内有效。不是本人操作请勿告诉他人，并拨打服务热线。",
            ("name", "code", "minutes"),
        ),
        MessageTemplate(
            "registered",
            "SMS_100000005",
            "${name}，您的账号已开通，可用本人证件号码登录。如不是本人办理，请拨打服务热线或到政务服务窗口。",
            ("name",),
        ),
        MessageTemplate(
            "registration_resumed",
            "SMS_100000006",
            "${name}，您注册账号时未能完成的核验已恢复，请尽快回到原来的页面继续，已填写的内容不用再填。",
            ("name",),
        ),
        MessageTemplate(
            "password_changed",
            "SMS_100000007",
            "${name}，您的账号密码已于${time}修改。如不是本人操作，请立即拨打服务热线冻结账号，或到政务服务窗口。",
            ("name", "time"),
        ),
        MessageTemplate(
            "profile_change_code",
            "SMS_100000018",
            "${name}，您修改个人信息（电子邮箱、通讯地址）的验证码是${code}，${minutes}分钟内有效。不是本人操作请勿告诉他人，并拨打服务热线。",
            ("name", "code", "minutes"),
        ),
        MessageTemplate(
            "profile_changed",
            "SMS_100000019",
            "${name}，您账号里的${what}已于${time}变更。如不是本人操作，请立即拨打服务热线冻结账号，或到政务服务窗口。",
            ("name", "time", "what"),
        ),
        MessageTemplate(
            "request_waiting",
            "SMS_100000014",
            "${name}，${time}有部门请您确认业务。请登录统一身份认证，在“我的账号—等待确认的请求”中查看。没有在办理请选“不同意”。",
            ("name", "time"),
        ),
        MessageTemplate(
            "passkey_added",
            "SMS_100000010",
            "${name}，您的账号已于${time}添加通行密钥。如不是本人操作，请立即拨打服务热线冻结账号，或到政务服务窗口。",
            ("name", "time"),
        ),
        MessageTemplate(
            "passkey_removed",
            "SMS_100000011",
            "${name}，您的账号已于${time}移除通行密钥，其他设备上的登录已退出。如不是本人操作，请立即拨打服务热线冻结账号。",
            ("name", "time"),
        ),
        MessageTemplate(
            "application_barred",
            "SMS_100000016",
            "${name}，自${time}起，您的账号不能登录${department}。原因：${reason}。其他服务不受影响。如有异议，请拨打服务热线或到政务服务窗口。",
            ("name", "time", "department", "reason"),
        ),
        MessageTemplate(
            "application_unbarred",
            "SMS_100000017",
            "${name}，自${time}起，您的账号又可以登录${department}。",
            ("name", "time", "department"),
        ),
        MessageTemplate(
            "account_frozen",
            "SMS_100000008",
            "${name}，您的账号已于${time}冻结，暂时不能登录。解冻请带本人有效身份证件到政务服务窗口。",
            ("name", "time"),
        ),
    )
}
"""Name → template. A name is masked by whoever asks for the message, and none is named by words that nothing proves yet."""


def find_template(name: str, parameters: Mapping[str, str]) -> MessageTemplate:
    """Return the template ``name``, or its unnamed form when no name is given; SmsRefused when there is none."""
    wanted = name if parameters.get("name") or f"unnamed_{name}" not in TEMPLATES else f"unnamed_{name}"
    template = TEMPLATES.get(wanted)
    if template is None:
        raise SmsRefused("template_unknown", Action.ALARM)
    return template


def render(text: str, parameters: Mapping[str, str], sign_name: str) -> str:
    """Return what the phone shows: 【sign】 and the text with its parameters; KeyError when one is missing."""
    return f"【{sign_name}】{_Text(text).substitute(parameters)}"

"""Decides which pages the sample Django site has; mozilla-django-oidc brings /oidc/authenticate/, /oidc/callback/ and /oidc/logout/."""

import json

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.urls import include, path
from django.utils.html import format_html

FRAME = '<!doctype html>\n<html lang="zh-CN"><head><meta charset="utf-8"><title>样例部门</title></head><body>{}</body></html>'
WAY_IN = format_html('<p><a id="sign-in" href="/oidc/authenticate/">登录</a></p>')


def show_home(request: HttpRequest) -> HttpResponse:
    """Show what arrived and the way out, or the way in."""
    if not request.user.is_authenticated:
        return HttpResponse(format_html(FRAME, WAY_IN))
    claims = request.session["claims"]
    content = format_html(
        '<p>登录的是 <b id="who">{}</b>，<b id="email">{}</b></p><pre id="id-token">{}</pre><pre id="userinfo">{}</pre>'
        '<form method="post" action="/oidc/logout/"><input type="hidden" name="csrfmiddlewaretoken" value="{}">'
        '<button id="sign-out">退出</button></form>',
        request.user.first_name,
        request.user.email,
        json.dumps(claims["id_token"], ensure_ascii=False),
        json.dumps(claims["userinfo"], ensure_ascii=False),
        get_token(request),
    )
    return HttpResponse(format_html(FRAME, content))


def show_refused(request: HttpRequest) -> HttpResponse:
    """Say that the sign-in did not come about."""
    return HttpResponse(format_html(FRAME, format_html('<p id="error">没有登录</p>{}', WAY_IN)), status=403)


urlpatterns = [path("", show_home), path("refused", show_refused), path("oidc/", include("mozilla_django_oidc.urls"))]

"""What every request passes before anything else: who may ask, from where, and what the answer may do.

The server is for its own page and for programs, not for other people's web pages: the Host header must be
one of ours (against DNS rebinding), and a request that another site started is refused (against CSRF).
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import secrets
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vintage_colorizer.options import ServeOptions
from vintage_colorizer.serve.answers import RETRY_SECONDS, error_response

VISITOR_COOKIE = "vintage_colorizer_visitor"
TOKEN_COOKIE = "vintage_colorizer_token"
VISITOR = re.compile(r"[\w-]{32}")
REMEMBERED = 30 * 24 * 3600  # seconds for which a visitor is known again, whose films may be there still
MAX_ACTIVE = 200  # requests being answered at a time, however little they do
OPEN_PATHS = {"/api/health", "/page.css", "/icon.svg"}  # for health checks, and for the page that asks for the token
TOKEN_PAGE = Path(__file__).with_name("token.html")
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


class Guard:
    """The outermost layer of the application (ASGI)."""

    def __init__(self, app: ASGIApp, options: ServeOptions) -> None:
        """Stand before `app`."""
        self._app = app
        self._options = options
        self._names = {name.strip().lower() for name in (options.allow_host or "").split(",") if name.strip()}
        self._active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        known = request.cookies.get(VISITOR_COOKIE, "")
        visitor = known if VISITOR.fullmatch(known) else secrets.token_urlsafe(24)
        request.state.visitor = visitor
        new_visitor = visitor if visitor != known else None
        send = _with_headers(send, self._headers(request, new_visitor))
        self._active += 1
        try:
            answer = self._answer(request) or self._app
            await answer(scope, receive, send)
        finally:
            self._active -= 1

    def _answer(self, request: Request) -> ASGIApp | None:
        """The answer to a request that goes no further."""
        try:
            if self._active > MAX_ACTIVE:
                raise HTTPException(503, "The server is busy; try again soon.", {"Retry-After": str(RETRY_SECONDS)})
            self._check_host(request)
            _check_origin(request)
            return self._check_token(request)
        except HTTPException as refusal:
            headers = {**(refusal.headers or {}), "Connection": "close"}
            return error_response(refusal.status_code, "Refused", refusal.detail, headers)

    def _check_host(self, request: Request) -> None:
        """Accept loopback names, the address that was connected to, and the names the owner allows."""
        name = _host_name(request)
        server = request.scope.get("server") or ("", None)
        if name not in {"localhost", server[0], *self._names} and not _is_loopback(name):
            raise HTTPException(403, "The server does not go by this name; its owner can add it with --allow-host.")

    def _check_token(self, request: Request) -> ASGIApp | None:
        token = self._options.token
        if token is None or request.url.path in OPEN_PATHS:
            return None
        query = dict(request.query_params)
        if request.url.path == "/" and _same(query.pop("token", ""), token):
            response = RedirectResponse("/" + (f"?{urlencode(query)}" if query else ""), 303)
            response.headers.append("Set-Cookie", self._cookie(request, TOKEN_COOKIE, _cookie_for(token)))
            return response
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if _same(bearer, token) or _same(request.cookies.get(TOKEN_COOKIE, ""), _cookie_for(token)):
            return None
        if request.url.path == "/" and "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(TOKEN_PAGE.read_text(encoding="utf-8"), 401)
        raise HTTPException(401, "Open the address with ?token=..., or send the token.", {"WWW-Authenticate": "Bearer"})

    def _headers(self, request: Request, new_visitor: str | None) -> list[tuple[str, str]]:
        """Headers of every answer."""
        frame = self._options.frame_host or "'none'"
        policy = (
            "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none';"
            f" base-uri 'none'; form-action 'self'; frame-ancestors {frame}"
        )
        headers = [
            ("Content-Security-Policy", policy),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
            ("Cache-Control", "no-store" if request.url.path.startswith("/api/") else "no-cache"),
        ]
        if new_visitor is not None:
            cookie = f"{self._cookie(request, VISITOR_COOKIE, new_visitor)}; Max-Age={REMEMBERED}"
            headers.append(("Set-Cookie", cookie))
        return headers

    def _cookie(self, request: Request, name: str, value: str) -> str:
        """A cookie scripts cannot read and other sites cannot send; in a frame of another site it is kept apart."""
        secure = "; Secure" if request.url.scheme == "https" else ""
        same_site = "SameSite=None; Secure; Partitioned" if self._options.frame_host else f"SameSite=Strict{secure}"
        return f"{name}={value}; Path=/; HttpOnly; {same_site}"


def _with_headers(send: Send, headers: list[tuple[str, str]]) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer = MutableHeaders(scope=message)
            for name, value in headers:
                answer.append(name, value)
        await send(message)

    return send_with_headers


def _host_name(request: Request) -> str:
    """The name in the Host header, without the port."""
    try:
        return (urlsplit(f"//{request.headers.get('host', '')}").hostname or "").lower()
    except ValueError:
        return ""


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _check_origin(request: Request) -> None:
    """Refuse what a page of another site, or of another port, started."""
    site = request.headers.get("sec-fetch-site", "none")
    started_here = site in ("same-origin", "none") or request.url.path == "/"
    origin = request.headers.get("origin")
    if origin is not None and request.method not in SAFE_METHODS:
        started_here = started_here and urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()
    if not started_here:
        raise HTTPException(403, "This was started by another site's page, which may not use the server.")


def _same(given: str, wanted: str) -> bool:
    return secrets.compare_digest(given.encode(), wanted.encode())


def _cookie_for(token: str) -> str:
    """What stands for the token in the cookie, so that no other server on this machine learns it."""
    return hashlib.sha256(b"cookie " + token.encode()).hexdigest()

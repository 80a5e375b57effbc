"""Requests as lines of a corpus (docs/crs.md): who sends them, and how bodies are written."""

import base64
import json
from urllib.parse import quote_plus

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def request(method, uri, headers, body=None):
    made = {"method": method, "uri": uri, "headers": [list(header) for header in headers]}
    if isinstance(body, bytes):
        try:
            body = body.decode("ascii")
        except UnicodeDecodeError:
            made["body_base64"] = base64.b64encode(body).decode()
            body = None
    if body is not None:
        made["body"] = body
    return made


def browser(method, uri, headers=(), body=None, agent=AGENT):
    """With the headers that browsers send."""
    usual = [("Host", "www.example.org"), ("User-Agent", agent),
             ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
             ("Accept-Language", "en-US,en;q=0.5"), ("Accept-Encoding", "gzip, deflate, br")]
    named = {name.lower() for name, _ in headers}
    return request(method, uri, [header for header in usual if header[0].lower() not in named] + list(headers), body)


def form(uri, fields, multipart=False, headers=(), files=()):
    """A form as browsers send it."""
    if not multipart:
        body = "&".join(f"{quote_plus(name, errors='replace')}={quote_plus(value, errors='replace')}" for name, value in fields)
        return browser("POST", uri, [*headers, ("Content-Type", "application/x-www-form-urlencoded")], body)
    boundary = "----WebKitFormBoundaryq8pMZ3Ci1pXv7s2T"
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value.encode(errors="replace") for name, value in fields]
    parts += [f'Content-Disposition: form-data; name="{name}"; filename="{file}"\r\nContent-Type: {kind}\r\n\r\n'.encode() + content
              for name, file, kind, content in files]
    body = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary.encode() + b"--\r\n"
    return browser("POST", uri, [*headers, ("Content-Type", f"multipart/form-data; boundary={boundary}")], body)


def json_body(method, uri, value, headers=(), kind="application/json"):
    headers = [("Accept", "application/json, text/plain, */*"), *headers, ("Content-Type", kind)]
    return browser(method, uri, headers, json.dumps(value, ensure_ascii=False))

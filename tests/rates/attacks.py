"""Attacks for the corpora: the payload lists of scanners, as they come in their packages, put where scanners and attackers put them.

Nothing of the lists is kept in this repository: `build.py` says which packages they are taken from.
"""

import ast
import configparser
import glob
import json
import os
import re
from urllib.parse import quote, quote_plus

from wire import browser, form, json_body, request


def literals(files, name=None):
    """Every string in these Python files that is the keyword or key `name`, or that stands in a list."""
    for file in files:
        with open(file, encoding="utf-8") as source:
            tree = ast.parse(source.read())
        for node in ast.walk(tree):
            if name and isinstance(node, ast.keyword) and node.arg == name and isinstance(node.value, ast.Constant):
                yield node.value.value
            elif not name and isinstance(node, (ast.List, ast.Tuple)):
                yield from (item.value for item in node.elts if isinstance(item, ast.Constant) and isinstance(item.value, str))


def ini(file):
    """The payloads of one of wapiti's files; what it fills in at run time is filled in here."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str
    parser.read(file, encoding="utf-8")
    for section in parser.values():
        for line in (section.get("payload") or "").split("\n"):
            for mark, text in {"[LF]": "\n", "[TAB]": "\t", "[TIME]": "7", "[VALUE]": "7", "__XSS__": "1", "[SPACE]": " ",
                               "[EXTERNAL_ENDPOINT]": "http://evil.example", "[EXTERNAL_PREFIX]": "http", "[NULL]": "\0"}.items():
                line = line.replace(mark, text)
            if line and line != "None":
                yield line


def lines(file):
    if os.path.exists(file):
        with open(file, encoding="utf-8", errors="replace") as text:
            yield from (line.rstrip("\r\n") for line in text if line.strip() and not line.startswith("#"))


def fray(folder, *kinds):
    for kind in kinds:
        for file in sorted(glob.glob(f"{folder}/fray/payloads/{kind}/*.json")):
            with open(file, encoding="utf-8") as text:
                found = json.load(text)
            for entry in found.get("payloads", found) if isinstance(found, dict) else found:
                payload = entry.get("payload", "")
                # Some entries are pieces of the program that the list was drawn from, advisories, or whole requests.
                if payload and not re.search(r"print\(|PAYLOADS|errors=\"replace\"|^# CVE|HTTP/[12]|^\n|_variant_\d", payload):
                    yield payload


def places(payload, number):
    """One place for each payload, in turn, as gotestwaf and scanners do: most of them in arguments."""
    word = re.sub(r"[^a-z]", "", payload.lower())[:3] or "x"
    place = ("query", "query", "form", "json", "query", "cookie", "header", "path", "form", "multipart")[number % 10]
    if place == "query":
        return browser("GET", f"/search?lang=en&{word}q={quote_plus(payload, errors='replace')}")
    if place == "form":
        return form("/comment", [("name", "ada"), (f"text{number % 7}", payload)])
    if place == "json":
        return json_body("POST", "/api/items", {"id": number, "name": payload, "tags": ["a", "b"]})
    if place == "cookie" and "\n" not in payload:
        return browser("GET", "/account", [("Cookie", f"lang=en; state={quote(payload)}")])
    if place == "header" and not re.search(r"[^\x20-\x7e]", payload):
        return browser("GET", "/", [("X-Search", payload)])
    if place == "path":
        return browser("GET", f"/files/{quote(payload, safe='/.')}")
    return form("/post", [("title", "hello"), ("body", payload)], multipart=True)


def in_query(payload, _number):
    return browser("GET", f"/?id={quote_plus(payload)}")


def unique(payloads):
    seen = set()
    for payload in payloads:
        if 1 < len(payload) < 4000 and payload not in seen:
            seen.add(payload)
            yield payload


def sets(packages, recorded):
    """Name of the set, its requests."""
    wapiti = f"{packages}/wapitiCore/data/attacks"
    wfuzz = "/usr/share/wfuzz/wordlist"
    human = f"{packages}/commonhuman_payloads"
    sqli = list(unique([*fray(packages, "sqli"), *literals(glob.glob(f"{human}/sqli/*.py")), *ini(f"{wapiti}/blindSQLPayloads.ini"),
                        *lines(f"{wfuzz}/Injections/SQL.txt"), *lines(f"{wfuzz}/vulns/sql_inj.txt")]))
    sqli = [payload for payload in sqli if re.search(r"['\"\s(;]", payload) and len(payload) > 4]
    scripts = [*literals(glob.glob(f"{human}/xss/*.py")), *ini(f"{wapiti}/xssPayloads.ini"), *lines(f"{wfuzz}/Injections/XSS.txt"),
               *literals(glob.glob(f"{packages}/brs_kb/payloads/**/*.py", recursive=True), "payload")]
    scripts = [payload for payload in unique(scripts) if re.search(r"[<(=:]", payload) and "import " not in payload]
    yield "sqli-lists", [in_query(payload, 0) for payload in sqli]
    yield "sqli-places", [places(payload, number) for number, payload in enumerate(sqli)]
    yield "xss-lists", [places(payload, number) for number, payload in enumerate(scripts)]
    yield "xss-fray", [places(payload, number) for number, payload in enumerate(unique(fray(packages, "xss", "csp_bypass")))]
    for name, kinds, more in (
        ("commands", ["command_injection"], ini(f"{wapiti}/execPayloads.ini")),
        ("paths", ["path_traversal"], [*ini(f"{wapiti}/fileHandlingPayloads.ini"), *lines(f"{wfuzz}/Injections/Traversal.txt")]),
        ("templates", ["ssti", "prototype_pollution"], []),
        ("server-requests", ["ssrf", "ssrf_cloud_metadata"], []),
        ("directories", ["ldap_injection", "xpath_injection"], ini(f"{wapiti}/ldap.ini")),
        ("headers", ["crlf_injection"], lines(f"{wapiti}/log4shell_headers.txt")),
        ("shells", ["web_shells", "deserialization"], []),
    ):
        payloads = unique([*fray(packages, *kinds), *more])
        yield name, [places(payload, number) for number, payload in enumerate(payloads)]
    entities = unique([*fray(packages, "xxe"), *ini(f"{wapiti}/xxePayloads.ini")])
    yield "entities", [request("POST", "/soap", browser("POST", "/")["headers"] + [("Content-Type", "application/xml")], payload)
                       for payload in entities if payload.lstrip().startswith("<")]
    probes = [line for line in lines(f"{wfuzz}/vulns/cgis.txt") if re.search(r"\.\.|;|\||%00|/etc/|\.ini|<|\.htpasswd|\.git|\.bak", line)]
    yield "probes", [browser("GET", "/" + quote(line.lstrip("/"), safe="/?=&%.;|<>~+-_:@!,*()'\"\\")) for line in unique(probes)]
    yield "sqlmap", sqlmap(recorded)


def sqlmap(recorded):
    """What sqlmap sent (see `record.py`), with the headers that a browser would send in the place of its own; what is no attack is left out."""
    seen, found = set(), []
    attack = re.compile(r"(?i)%27|%22|%28|%3B|'|\(|\bAND\b|\bOR\b|%20|\+")
    for line in lines(recorded):
        order = json.loads(line)
        payload = order["uri"].partition("?")[2] + order["body"]
        if payload in seen or not attack.search(payload):
            continue
        seen.add(payload)
        kept = [(name, value) for name, value in order["headers"] if name.lower() in ("content-type", "cookie")]
        found.append(browser(order["method"], order["uri"], kept, order["body"] or None))
    return found

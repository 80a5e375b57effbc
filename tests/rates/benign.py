"""Harmless requests: what browsers, programs and people send, with the signs and words that make rules take them for attacks."""

import base64
import gzip
import json
import os
import random
import re
import subprocess
import uuid
from urllib.parse import quote, quote_plus, urlencode

from faker import Faker

from wire import browser, form, json_body

AGENTS = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
]
SITE = "https://www.example.org"
ASSETS = ["/assets/app.{h}.js", "/static/css/main.{h}.css", "/img/logo.svg?v=3", "/fonts/inter-latin-400.woff2", "/favicon.ico",
          "/media/catalog/product/cache/{h}/w/j/wj12-blue_main_1.jpg", "/_next/static/chunks/pages/index-{h}.js",
          "/wp-content/themes/astra/style.min.css?ver=4.8.1", "/wp-includes/js/jquery/jquery.min.js?ver=3.7.1", "/sitemap.xml", "/robots.txt",
          "/api/v2/config.json?_={n}", "/combo?yui/3.18.1/yui/yui-min.js&yui/3.18.1/dom/dom-min.js", "/i/320x240/filters:quality(80)/photo.jpg",
          "/manifest.webmanifest", "/app/i18n/en-GB.json", "/.well-known/assetlinks.json", "/cdn-cgi/rum?"]


class People:
    """Names, addresses and prose of several countries, drawn from one seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        Faker.seed(seed)
        self.fakers = [Faker(where) for where in ("en_US", "en_GB", "de_DE", "fr_FR", "it_IT", "es_ES", "pl_PL", "ja_JP", "ru_RU", "nl_NL", "en_IE")]
        self.prose = list(prose())
        self.random.shuffle(self.prose)

    def fake(self):
        return self.random.choice(self.fakers)

    def text(self, least=1, most=3):
        return " ".join(self.random.choice(self.prose) for _ in range(self.random.randint(least, most)))

    def hex(self, length=16):
        return "".join(self.random.choice("0123456789abcdef") for _ in range(length))

    def token(self, length=32):
        return base64.urlsafe_b64encode(self.random.randbytes(length)).decode().rstrip("=")


def prose():
    """Sentences: fortunes, and the descriptions in manual pages."""
    folder = "/usr/share/games/fortunes"
    for name in ("literature", "computers", "science", "wisdom", "news", "food", "work", "politics", "linux", "education", "law", "medicine"):
        path = f"{folder}/{name}"
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                for entry in file.read().split("\n%\n"):
                    entry = re.sub(r"\s+", " ", re.sub(r".\x08", "", entry)).strip()
                    if 20 < len(entry) < 500:
                        yield entry
    for page in ("bash", "find", "git-commit", "tar", "sed", "grep", "ssh_config", "systemd.exec", "crontab", "perlop"):
        shown = subprocess.run(["man", page], capture_output=True, text=True, env={**os.environ, "MANWIDTH": "1000"}, check=False).stdout
        for line in shown.split("\n"):
            line = re.sub(r"\s+", " ", re.sub(r".\x08", "", line)).strip()
            if 60 < len(line) < 500:
                yield line


def cookies(people):
    rand, number = people.random, people.random.randint(10**8, 10**9)
    consent = quote(json.dumps({"v": 2, "ads": False, "stamp": people.token(24) + "==", "utc": number * 1000, "region": "de"}))
    jar = [f"_ga=GA1.2.{number}.1732300000", f"_ga_{people.hex(8).upper()}=GS1.1.1732300000.4.1.1732300123.0.0.0", f"_gid=GA1.2.{number + 7}.1732300011",
           f"_fbp=fb.1.1732300000123.{number}", f"PHPSESSID={people.hex(26)}", f"csrftoken={people.token(24)}", f"CookieConsent={consent}",
           f"laravel_session={quote(base64.b64encode(json.dumps({'iv': people.token(16), 'value': people.token(96), 'mac': people.hex(64)}).encode()).decode())}",
           f"_pk_id.1.1fff={people.hex(16)}.1732300000.", f"JSESSIONID={people.hex(32).upper()}.node1", f"lang=en-GB", f"OptanonConsent=isGpcEnabled=0&datestamp=Sat+Nov+23+2026+10%3A12%3A44+GMT%2B0100+(Central+European+Standard+Time)&version=6.33.0&groups=C0001%3A1%2CC0002%3A0",
           f"__Host-session={people.token(32)}", f"wordpress_logged_in_{people.hex(32)}=ada%7C1733500000%7C{people.token(30)}%7C{people.hex(64)}",
           f"remember_token={people.token(60)}", f"cart={quote(json.dumps([{'sku': 'A-1', 'n': 2}]))}", f"utm_src={quote('newsletter|spring sale; 20% off')}",
           f"__cf_bm={people.token(32)}-1732300000-1.0.1.1-{people.token(60)}", f"intercom-session-abc={people.token(40)}--{people.token(16)}"]
    return "; ".join(rand.sample(jar, rand.randint(1, 7)))


def headers(people, fetch="document"):
    rand = people.random
    made = [("User-Agent", rand.choice(AGENTS)), ("Accept-Language", rand.choice(["en-US,en;q=0.9", "de-DE,de;q=0.9,en;q=0.8", "fr", "ja,en;q=0.5"]))]
    if rand.random() < 0.8:
        made.append(("Referer", rand.choice([f"{SITE}/", f"{SITE}/shop/shoes?size=42&color=blue", "https://www.google.com/",
                     "https://t.co/abc123", f"{SITE}/search?q=union+jack+%22t-shirt%22", f"{SITE}/a/b/?utm_source=news&utm_medium=email"])))
    if rand.random() < 0.8:
        made.append(("Cookie", cookies(people)))
    made += [("Sec-Fetch-Dest", fetch), ("Sec-Fetch-Mode", "navigate" if fetch == "document" else "cors"), ("Sec-Fetch-Site", "same-origin")]
    if rand.random() < 0.3:
        made += [("sec-ch-ua", '"Google Chrome";v="131", "Chromium";v="131", "Not_A Brand";v="24"'), ("sec-ch-ua-platform", '"Windows"')]
    if rand.random() < 0.2:
        made += [("If-None-Match", f'W/"{people.hex(20)}"'), ("If-Modified-Since", "Sat, 21 Nov 2026 10:00:00 GMT")]
    return made


def browsing(people):
    rand, fake = people.random, people.fake()
    slug = re.sub(r"[^a-z0-9]+", "-", people.text(1, 1).lower())[:60].strip("-")
    page = [lambda: "/", lambda: f"/blog/2026/11/{slug}/", lambda: f"/product/{rand.randint(1, 99999)}/{slug}?variant={rand.randint(10**9, 10**10)}",
            lambda: f"/category/{quote(fake.word())}?page={rand.randint(1, 9)}&sort=price_desc&filter%5Bcolor%5D%5B%5D=blue&filter%5Bsize%5D%5B%5D=L",
            lambda: f"/wiki/{quote(fake.city())}_({quote(fake.country())})", lambda: f"/index.php?option=com_content&view=article&id={rand.randint(1, 99)}:{slug}&catid=9&Itemid=101",
            lambda: f"/?utm_source=newsletter&utm_medium=email&utm_campaign={quote_plus('Black Friday 2026 - 50% off!')}&mc_cid={people.hex(10)}&fbclid=IwAR{people.token(40)}",
            lambda: f"/maps/@{fake.latitude()},{fake.longitude()},14z/data=!3m1!4b1", lambda: f"/calendar?from=2026-11-23T00:00:00%2B01:00&to=2026-11-30T00:00:00.000Z",
            lambda: f"/events/{rand.randint(1, 999)}.ics?tz=Europe/Berlin", lambda: f"/~ada/notes/{quote(slug)}.html", lambda: f"/download/Report%20Q3%20(final)%20v2.pdf",
            lambda: f"/user/{quote(fake.name())}/repos?type=all&per_page=100", lambda: f"/article.aspx?id={uuid.UUID(int=rand.getrandbits(128))}&ReturnUrl=%2Faccount%2Forders",
            lambda: rand.choice(ASSETS).format(h=people.hex(8), n=rand.randint(10**9, 10**10))]
    return browser("GET", rand.choice(page)(), headers(people))


def searching(people):
    """What people type, and what pages make of it."""
    rand, words = people.random, people.text(1, 1).split()
    start = rand.randrange(max(1, len(words) - 4))
    query = " ".join(words[start:start + rand.randint(1, 6)])
    uri = rand.choice(["/search?q={q}", "/?s={q}&post_type=product", "/catalogsearch/result/?q={q}&cat=12", "/suggest?term={q}&callback=jQuery3610_17323", "/api/search?query={q}&hitsPerPage=20&facetFilters=%5B%5B%22brand%3AAcme%22%5D%5D"])
    return browser("GET", uri.format(q=quote_plus(query)), headers(people, "document"))


def forms(people):
    rand, fake = people.random, people.fake()
    kinds = [
        lambda: ("/contact", [("name", fake.name()), ("email", fake.email()), ("phone", fake.phone_number()), ("subject", people.text(1, 1)[:80]), ("message", people.text(1, 4)), ("_token", people.token(30))]),
        lambda: ("/checkout/address", [("first", fake.first_name()), ("last", fake.last_name()), ("company", fake.company()), ("street", fake.street_address()), ("city", fake.city()), ("zip", fake.postcode()), ("country", fake.country())]),
        lambda: ("/login", [("username", fake.user_name()), ("password", fake.password(length=16)), ("remember", "on"), ("next", "/account/orders?page=2")]),
        lambda: ("/wp-comments-post.php", [("comment", people.text(1, 5)), ("author", fake.name()), ("email", fake.email()), ("url", fake.url()), ("submit", "Post Comment"), ("comment_post_ID", "17")]),
        lambda: ("/survey", [(f"answer[{n}]", people.text(1, 1)) for n in range(6)]),
        lambda: ("/profile", [("bio", people.text(2, 4)), ("website", fake.url()), ("birthday", str(fake.date_of_birth())), ("_method", "PUT")]),
        lambda: ("/ticket/new", [("title", people.text(1, 1)[:100]), ("body", "Hello,\r\n\r\n" + people.text(3, 6) + "\r\n\r\nKind regards,\r\n" + fake.name())]),
        lambda: ("/Page.aspx", [("__VIEWSTATE", base64.b64encode(rand.randbytes(300)).decode()), ("__EVENTVALIDATION", base64.b64encode(rand.randbytes(90)).decode()), ("ctl00$Main$txtName", fake.name())]),
    ]
    uri, fields = rand.choice(kinds)()
    return form(uri, fields, multipart=rand.random() < 0.25, headers=headers(people))


def apis(people):
    rand, fake = people.random, people.fake()
    bearer = [*headers(people, "empty"), ("Authorization", f"Bearer eyJhbGciOiJSUzI1NiJ9.{people.token(120)}.{people.token(64)}"), ("X-Requested-With", "XMLHttpRequest")]
    order = {"id": str(uuid.UUID(int=rand.getrandbits(128))), "customer": {"name": fake.name(), "email": fake.email(), "address": {"street": fake.street_address(), "city": fake.city()}},
             "lines": [{"sku": f"AB-{rand.randint(1, 9999)}", "title": people.text(1, 1)[:90], "quantity": rand.randint(1, 5), "price": round(rand.random() * 100, 2)} for _ in range(rand.randint(1, 8))], "note": people.text(1, 2), "gift": None, "paid": True}
    events = {"events": [{"type": "click", "ts": 1732300000000 + n, "path": f"{SITE}/shop?id={n}", "selector": "div#main > ul.list > li:nth-child(3) > a", "text": people.text(1, 1)[:60]} for n in range(rand.randint(1, 12))]}
    graph = {"operationName": "Product", "variables": {"id": rand.randint(1, 999), "first": 20, "after": people.token(20)}, "query": "query Product($id: ID!, $first: Int) {\n  product(id: $id) {\n    name\n    price { amount currency }\n    reviews(first: $first) { edges { node { author text stars } } }\n  }\n}\n"}
    chat = {"model": "gpt", "stream": True, "messages": [{"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": people.text(1, 4)}]}
    error = {"message": "TypeError: Cannot read properties of undefined (reading 'map')", "stack": "TypeError: x is undefined\n    at render (https://www.example.org/assets/app.js:1:20342)\n    at async Promise.all (index 0)", "url": f"{SITE}/cart", "userAgent": AGENTS[0]}
    kinds = [lambda: json_body("POST", "/api/v1/orders", order, bearer), lambda: json_body("PATCH", f"/api/v1/orders/{rand.randint(1, 999)}", {"note": people.text(1, 3), "tags": ["new", "vip"]}, bearer),
             lambda: json_body("POST", "/collect", events, headers(people, "empty"), "text/plain;charset=UTF-8"), lambda: json_body("POST", "/track", events, headers(people, "empty")), lambda: json_body("POST", "/graphql", graph, bearer),
             lambda: json_body("POST", "/v1/chat/completions", chat, bearer), lambda: json_body("POST", "/errors", error, headers(people, "empty")),
             lambda: json_body("POST", "/jsonapi/node/article", {"data": {"type": "node--article", "attributes": {"title": people.text(1, 1)[:90], "body": {"value": people.text(2, 5), "format": "plain_text"}}}}, bearer, "application/vnd.api+json"),
             lambda: browser("GET", f"/api/users?fields=id,name,email&filter={quote_plus('status eq ' + chr(39) + 'active' + chr(39))}&$top=20&$orderby=name%20desc", bearer),
             lambda: browser("DELETE", f"/api/v1/carts/{uuid.UUID(int=rand.getrandbits(128))}/items/3", bearer),
             lambda: browser("OPTIONS", "/api/v1/orders", [("Origin", SITE), ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "authorization,content-type")]),
             lambda: json_body("PUT", f"/api/settings/{fake.user_name()}", {"theme": "dark", "layout": [{"i": "a", "x": 0, "y": 0, "w": 4}], "query": people.text(1, 1)}, bearer),
             lambda: browser("POST", "/hooks/deploy", [("User-Agent", "GitHub-Hookshot/abc1234"), ("X-Hub-Signature-256", f"sha256={people.hex(64)}"), ("Content-Type", "application/json"), ("Accept", "*/*")],
                             json.dumps({"ref": "refs/heads/main", "commits": [{"id": people.hex(40), "message": people.text(1, 2), "author": {"name": fake.name(), "email": fake.email()}}], "repository": {"html_url": "https://git.example.org/ada/shop"}})),
             lambda: browser("POST", "/soap/orders", [*headers(people, "empty"), ("Content-Type", "text/xml; charset=utf-8"), ("SOAPAction", '"urn:getOrder"')],
                             f'<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><getOrder xmlns="urn:shop"><id>{rand.randint(1, 999)}</id><note>{re.sub("[<>&]", " ", people.text(1, 1))}</note></getOrder></soap:Body></soap:Envelope>')]
    return rand.choice(kinds)()


def signing_in(people):
    """OAuth, OpenID Connect, SAML, links from mails."""
    rand = people.random
    saml = base64.b64encode(("<samlp:Response xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" ID=\"_" + people.hex(32) + "\"><saml:Issuer>https://idp.example.org</saml:Issuer></samlp:Response>").encode() * 6).decode()
    kinds = [lambda: browser("GET", "/oauth/authorize?" + urlencode({"response_type": "code", "client_id": people.hex(20), "redirect_uri": "https://app.example.org/callback?next=/", "scope": "openid profile email offline_access", "state": people.token(24), "nonce": people.token(16), "code_challenge": people.token(32), "code_challenge_method": "S256"}), headers(people)),
             lambda: browser("GET", "/callback?" + urlencode({"code": f"4/0A{people.token(50)}", "state": people.token(32), "scope": "email profile https://www.googleapis.com/auth/userinfo.email openid", "authuser": "0", "prompt": "consent"}), headers(people)),
             lambda: form("/saml/acs", [("SAMLResponse", saml), ("RelayState", f"{SITE}/account")], headers=[("Origin", "https://idp.example.org"), *headers(people)]),
             lambda: form("/oauth/token", [("grant_type", "authorization_code"), ("code", people.token(40)), ("redirect_uri", "https://app.example.org/callback"), ("client_id", people.hex(20)), ("code_verifier", people.token(48))]),
             lambda: browser("GET", f"/verify?token={people.token(60)}&email={quote_plus(people.fake().email())}", headers(people)),
             lambda: browser("GET", f"/login?returnUrl={quote('/connect/authorize/callback?client_id=spa&redirect_uri=https%3A%2F%2Fwww.example.org%2Fcb&response_type=code', safe='')}", headers(people)),
             lambda: browser("GET", f"/share?url={quote(SITE + '/blog/a?x=1', safe='')}&title={quote_plus(people.text(1, 1)[:90])}", headers(people))]
    return rand.choice(kinds)()


def uploads(people):
    rand = people.random
    files = [("photo.jpg", "image/jpeg", b"\xff\xd8\xff\xe0" + rand.randbytes(6000)), ("Scan 2026-11-23 (1).pdf", "application/pdf", b"%PDF-1.7\n" + rand.randbytes(4000)),
             ("notes.txt", "text/plain", people.text(5, 12).encode()), ("table.csv", "text/csv", "id;name;note\r\n".encode() + "\r\n".join(f"{n};{people.fake().name()};{people.text(1, 1)}" for n in range(9)).encode()),
             ("Müller_Lebenslauf.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", b"PK\x03\x04" + rand.randbytes(5000)),
             ("backup.tar.gz", "application/gzip", gzip.compress(people.text(9, 9).encode())), ("data.json", "application/json", json.dumps({"a": people.text(1, 2)}).encode()), ("avatar.png", "image/png", b"\x89PNG\r\n\x1a\n" + rand.randbytes(2500)), ("", "application/octet-stream", b"")]
    name, kind, content = rand.choice(files)
    if rand.random() < 0.25 and name and name.isascii():
        return browser("PUT", f"/files/{quote(name)}", [*headers(people, "empty"), ("Content-Type", kind)], content)
    return form("/upload", [("title", people.text(1, 1)[:90]), ("folder", "Documents/2026")], multipart=True, headers=headers(people), files=[("file", name, kind, content)])


def editors(people):
    """Writing pages: rich text, and markup of one's own. A rule set that takes HTML in an argument for an attack is right only where nobody writes HTML."""
    rand = people.random
    page = f"<h2>{people.text(1, 1)[:60]}</h2>\r\n<p class=\"lead\">{people.text(1, 2)}</p><ul><li>{people.text(1, 1)}</li></ul><p><a href=\"{SITE}/a\" target=\"_blank\" rel=\"noopener\">more</a> <strong>{people.text(1, 1)[:40]}</strong><br /></p><img src=\"/img/a.jpg\" alt=\"A lamp\" width=\"300\" />"
    markdown = f"# {people.text(1, 1)[:60]}\n\n{people.text(1, 3)}\n\n- one\n- **two**\n\n```sh\ngit clone https://git.example.org/ada/shop.git && cd shop\nmake test\n```\n\n[more]({SITE}/x?a=b&c=d)\n"
    kinds = [lambda: form("/wp-admin/post.php", [("post_title", people.text(1, 1)[:60]), ("content", page), ("action", "editpost"), ("post_ID", "12"), ("_wpnonce", people.hex(10))], headers=headers(people)),
             lambda: json_body("POST", "/wp-json/wp/v2/posts/12?_locale=user", {"id": 12, "content": f"<!-- wp:paragraph -->\n<p>{people.text(1, 2)}</p>\n<!-- /wp:paragraph -->", "title": "A"}, headers(people, "empty")),
             lambda: form("/wiki/edit", [("text", markdown), ("summary", "typo")], headers=headers(people)), lambda: json_body("PUT", "/api/pages/7", {"body": markdown, "draft": True}, headers(people, "empty"))]
    return rand.choice(kinds)()


def texts(people, sentences):
    """Sentences that hold the words of attacks, where people write: as the false-positive tests of other projects do."""
    for number, sentence in enumerate(sentences):
        yield (browser("GET", f"/search?q={quote_plus(sentence)}"), form("/comment", [("text", sentence)]), json_body("POST", "/api/notes", {"note": sentence}))[number % 3]


def large(people):
    """What programs of the browser send at once: a table, a burst of events, a page of settings; a form with a field for each line of an order."""
    rand, fake = people.random, people.fake()
    rows = [{"id": n, "name": fake.name(), "city": fake.city(), "score": rand.random(), "active": rand.random() < 0.5, "note": None} for n in range(rand.randint(60, 300))]
    grid = [[rand.randint(0, 999) for _ in range(30)] for _ in range(rand.randint(10, 60))]
    kinds = [lambda: json_body("POST", "/api/import", {"rows": rows}, headers(people, "empty")), lambda: json_body("POST", "/api/sheet", {"cells": grid}, headers(people, "empty")),
             lambda: form("/order", [(f"line[{n}][{key}]", str(rand.randint(1, 99))) for n in range(rand.randint(5, 60)) for key in ("sku", "count", "price")], headers=headers(people)),
             lambda: browser("POST", "/feed", [*headers(people, "empty"), ("Content-Type", "application/xml")], "<feed>" + "".join(f'<entry id="{n}" price="{n}.50" stock="{n % 7}">item {n}</entry>' for n in range(rand.randint(50, 300))) + "</feed>")]
    return rand.choice(kinds)()


def sets(seed, sentences):
    people = People(seed)
    for kind, count in ((browsing, 800), (searching, 400), (forms, 500), (apis, 600), (signing_in, 200), (uploads, 250), (editors, 150), (large, 100)):
        yield kind.__name__.replace("_", "-"), [kind(people) for _ in range(count)]
    yield "texts", list(texts(people, sentences))

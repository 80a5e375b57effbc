#!/usr/bin/env python3
"""Lets sqlmap attack a small program on the loopback and writes down what it sends: `record.py PACKAGES FILE`. A few minutes."""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

ATTACKS = [
    ("/shop?id=1&cat=lamp", ["-p", "id", "--level", "2", "--risk", "3"]),
    ("/number?id=1", ["--all", "--technique=BUES", "--level", "1"]),
    ("/text?id=lamp", ["--dump", "--level", "3", "--risk", "2"]),
    ("/form", ["--data", "user=ada&comment=hi", "-p", "user", "--level", "1", "--risk", "3", "--tamper=space2comment,between,randomcase"]),
    ("/api", ["--data", '{"user":"ada","n":1}', "--level", "1", "--risk", "2"]),
    ("/search?q=1", ["--level", "1", "--risk", "2", "--tamper=charencode,space2plus"]),
]
TABLES = """create table users(id integer, name text, password text); insert into users values(1,'ada','x1'),(2,'bob','x2'),(3,'eve','x3');
create table items(id integer, title text, price integer); insert into items values(1,'lamp',3),(2,'pen',4);"""


def answer(path, value):
    """Two of the pages are as careless as sqlmap hopes."""
    queries = {"/number": f"select id, name from users where id={value}", "/text": f"select id, title from items where title='{value}'"}
    if path not in queries:
        return "Welcome to the shop. " * 20
    try:
        with sqlite3.connect(":memory:") as database:
            database.executescript(TABLES)
            return "<br>".join(map(str, database.execute(queries[path]).fetchall()))
    except (sqlite3.Error, sqlite3.Warning, UnicodeError) as error:
        return f"error: {error}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lock, file = threading.Lock(), None

    def log_message(self, *_):
        pass

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("latin-1")
        record = {"method": self.command, "uri": self.path, "headers": list(self.headers.items()), "body": body}
        with self.lock:
            self.file.write(json.dumps(record) + "\n")
        target = urlsplit(self.path)
        text = answer(target.path, parse_qs(target.query, keep_blank_values=True).get("id", ["1"])[0]).encode(errors="replace")
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_HEAD = handle_any


def main(packages, file):
    with open(file, "w", encoding="utf-8") as record, tempfile.TemporaryDirectory() as scratch:
        Handler.file = record
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for path, words in ATTACKS:
            order = [sys.executable, os.path.join(packages, "sqlmap", "sqlmap.py"), "--batch", "--flush-session", "--random-agent", "--timeout", "5", "--retries", "0",
                     "--output-dir", scratch, "-u", f"http://127.0.0.1:{server.server_port}{path}", *words]
            try:
                subprocess.run(order, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=200, check=False)
            except subprocess.TimeoutExpired:
                pass  # it has sent enough
        server.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:3])

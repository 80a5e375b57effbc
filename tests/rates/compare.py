#!/usr/bin/env python3
"""Bulkhead's engine and Debian's libmodsecurity on the same labelled requests, under the same rules, in one run.

    compare.py --http-filter target/release/http-filter --crs DIR [--paranoia 1] [--around none|processors|recommended] [--show FILE] CORPORA...

DIR holds `crs-setup.conf.example` and `rules/`. Prints the shares that each refuses, set by set, how often only one of them does, and what the starter
rules of Bulkhead refuse; requests that no rule sees, because HTTP in front of them refuses them, are counted apart. `--show` writes each request on
which the engines differ, with the rules that matched on either side.
"""

import argparse
import base64
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict

HERE = os.path.dirname(os.path.abspath(__file__))
ORACLE = os.path.join(HERE, "../../http-filter/seclang/tests/oracle/modsecurity.py")
# What libmodsecurity needs around CRS: an engine that blocks, and the processors and the check of its recommended configuration.
ENGINE = """
SecRuleEngine On
SecRequestBodyAccess On
SecRequestBodyLimit 13107200
SecRequestBodyLimitAction Reject
"""
PROCESSORS = r"""
SecRule REQUEST_HEADERS:Content-Type "^(?:application(?:/soap\+|/)|text/)xml" "id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "^application/(?:[a-z0-9.-]+[+])?json" "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
"""
ERRORS = """
SecRule REQBODY_ERROR "!@eq 0" "id:200002,phase:2,t:none,log,deny,status:400,msg:'Failed to parse request body.',logdata:'%{reqbody_error_msg}',severity:2"
"""
STRICT = """
SecRule MULTIPART_STRICT_ERROR "!@eq 0" "id:200003,phase:2,t:none,log,deny,status:400,msg:'Multipart request body failed strict validation'"
SecRule MULTIPART_UNMATCHED_BOUNDARY "@eq 1" "id:200004,phase:2,t:none,log,deny,status:400,msg:'Multipart parser detected a possible unmatched boundary.'"
"""

# Bulkhead with the rules that are built in.
STARTER = """
[[sni-router.listen]]
name = "http"
address = "127.0.0.1:80"
protocol = "http"
[[http-filter.route]]
name = "all"
pool = "all"
[[pool]]
name = "all"
servers = "127.0.0.1:8080"
[http-filter.web-attacks]
mode = "block"
"""


def corpora(paths):
    """The requests, in the order in which `bulkhead rules test` reads them."""
    for path in paths:
        files = [os.path.join(path, name) for name in sorted(os.listdir(path)) if name.endswith(".jsonl")] if os.path.isdir(path) else [path]
        for file in files:
            with open(file, encoding="utf-8") as lines:
                yield from (json.loads(line) for line in lines if line.strip())


def order(request):
    """A request as the oracle wants it: one character per byte."""
    latin1 = lambda text: text.encode("utf-8").decode("latin-1")
    body = base64.b64decode(request["body_base64"]) if "body_base64" in request else request.get("body", "").encode("utf-8")
    headers = request.get("headers") or [["Host", "www.example.org"], ["User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"], ["Accept", "*/*"],
                                         *([["Content-Type", "application/x-www-form-urlencoded"]] if body else [])]
    headers = list(headers.items()) if isinstance(headers, dict) else headers
    if body and not any(name.lower() == "content-length" for name, _ in headers):
        headers = [*headers, ["Content-Length", str(len(body))]]
    return {"method": request.get("method", "GET"), "uri": latin1(request["uri"]), "headers": [[latin1(name), latin1(value)] for name, value in headers],
            "body": body.decode("latin-1"), "client": "127.0.0.1"}


class Oracle:
    def __init__(self, rules):
        self.process = subprocess.Popen([sys.executable, ORACLE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")
        answer = self.ask({"load": rules})
        if "error" in answer:
            sys.exit(answer["error"])
        print(answer["library"])

    def ask(self, what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def judge(self, request):
        answer = self.ask(order(request))
        return answer["status"], [int(rule) for line in answer["log"] for rule in re.findall(r'\[id "(\d+)"\]', line)]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--http-filter", required=True)
    arguments.add_argument("--crs", required=True)
    arguments.add_argument("--paranoia", default="1")
    arguments.add_argument("--around", choices=("none", "processors", "recommended"), default="processors")
    arguments.add_argument("--show")
    arguments.add_argument("corpora", nargs="+")
    asked = arguments.parse_args()

    around = {"none": "", "processors": PROCESSORS + ERRORS, "recommended": PROCESSORS + ERRORS + STRICT}[asked.around]
    level = f'SecAction "id:900000,phase:1,pass,t:none,nolog,setvar:tx.blocking_paranoia_level={asked.paranoia},setvar:tx.detection_paranoia_level={asked.paranoia}"'
    files = [f"{asked.crs}/crs-setup.conf.example", *sorted(glob.glob(f"{asked.crs}/rules/*.conf"))]
    oracle = Oracle([{"text": ENGINE + around + level}, *({"file": file} for file in files)])

    crs = [word for file in (files[0], f"{asked.crs}/rules/*.conf") for word in ("--rules", file)]
    ours = bulkhead(asked, crs)
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
        config.write(STARTER)
        config.flush()
        starter = bulkhead(asked, ["--config", config.name])

    counts, against = defaultdict(Counter), Counter()
    with open(asked.show or os.devnull, "w", encoding="utf-8") as show:
        for request, mine, own in zip(corpora(asked.corpora), ours, starter):
            count = counts[mine["label"], mine["set"]]
            if mine["refused"] == "http":
                count["before"] += 1
                continue
            status, theirs = oracle.judge(request)
            count["requests"] += 1
            count["ours"] += mine["refused"] is not False
            count["theirs"] += status != 0
            count["starter"] += own["refused"] is not False
            if (mine["refused"] is not False) != (status != 0):
                who = "only ours" if status == 0 else "only theirs"
                count[who] += 1
                differ = sorted(set(mine["matched"]) ^ set(theirs))
                against[who, mine["label"], tuple(rule for rule in differ if not 949000 <= rule < 981000)] += 1
                show.write(json.dumps({"only": who, "refused": mine["refused"], "status": status, "ours": mine["matched"], "theirs": theirs, **request}) + "\n")
    report(counts)
    print("\nrules that only one of them matched, in requests that only one of them refused")
    for (who, label, rules), count in against.most_common(60):
        print(f"{count:6} {label} refused by {who}: {' '.join(map(str, rules)) or '(none)'}")


def bulkhead(asked, rules):
    """What http-filter says about each request."""
    words = [asked.http_filter, "--rules-test", "--json", "--list", "--paranoia", asked.paranoia, *rules]
    words += [word for path in asked.corpora for word in ("--corpus", path)]
    lines = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, encoding="utf-8").stdout.splitlines()
    return [json.loads(line) for line in lines[:-1]]  # the last one is the report


def report(counts):
    print("\n| set | requests | CRS here | CRS, libmodsecurity | only here | only libmodsecurity | starter rules |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for label in ("attack", "benign"):
        total = Counter()
        for (own, name), count in sorted(counts.items()):
            if own == label:
                total += count
                row(f"{label}: {name}", count)
        row(f"**{label}: all of them**", total)


def row(name, count):
    rate = lambda who: f"{100 * count[who] / max(1, count['requests']):.2f} %"
    before = f" (and {count['before']})" if count["before"] else ""
    print(f"| {name} | {count['requests']}{before} | {rate('ours')} | {rate('theirs')} | {count['only ours']} | {count['only theirs']} | {rate('starter')} |")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Debian's libmodsecurity (3.0) as an oracle: reads one JSON object per line, answers one per line.

    {"load": [{"text": TEXT} or {"file": PATH}, ...]}   loads a rule set (replacing the one before)   -> {"ok": true} or {"error": TEXT}
    {"method": .., "uri": .., "version": "1.1", "headers": [[NAME, VALUE], ...], "body": .., "client": "192.0.2.1",
     "response": {"status": 200, "headers": [[NAME, VALUE], ...], "body": ..}}                  -> {"log": [LINE, ...], "status": 0}

Every string holds bytes: one character per byte (Latin-1). `log` has what the library would write to the error log, one line for each
rule that matched and logs; `status` the status it would answer with. Exit code 3: the library is not there.
"""

import ctypes
import ctypes.util
import json
import sys

NAME = ctypes.util.find_library("modsecurity") or "libmodsecurity.so.3"
try:
    LIB = ctypes.CDLL(NAME)
except OSError as error:
    print(f"no libmodsecurity: {error}", file=sys.stderr)
    sys.exit(3)

P, S, N, I = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int
for function, result, arguments in (
    ("msc_init", P, []),
    ("msc_who_am_i", S, [P]),
    ("msc_set_log_cb", None, [P, P]),
    ("msc_create_rules_set", P, []),
    ("msc_rules_add", I, [P, S, ctypes.POINTER(S)]),
    ("msc_rules_add_file", I, [P, S, ctypes.POINTER(S)]),
    ("msc_rules_cleanup", I, [P]),
    ("msc_new_transaction", P, [P, P, P]),
    ("msc_process_connection", I, [P, S, I, S, I]),
    ("msc_process_uri", I, [P, S, S, S]),
    ("msc_add_n_request_header", I, [P, S, N, S, N]),
    ("msc_process_request_headers", I, [P]),
    ("msc_append_request_body", I, [P, S, N]),
    ("msc_process_request_body", I, [P]),
    ("msc_add_n_response_header", I, [P, S, N, S, N]),
    ("msc_process_response_headers", I, [P, I, S]),
    ("msc_append_response_body", I, [P, S, N]),
    ("msc_process_response_body", I, [P]),
    ("msc_process_logging", I, [P]),
    ("msc_transaction_cleanup", None, [P]),
    ("msc_intervention", I, [P, P]),
):
    getattr(LIB, function).restype = result
    getattr(LIB, function).argtypes = arguments


class Intervention(ctypes.Structure):
    _fields_ = [("status", I), ("pause", I), ("url", S), ("log", S), ("disruptive", I)]


LINES = []


@ctypes.CFUNCTYPE(None, P, S)
def remember(_, line):
    LINES.append(line.decode("latin-1"))


ENGINE = LIB.msc_init()
LIB.msc_set_log_cb(ENGINE, ctypes.cast(remember, P))
RULES = None


def load(order):
    global RULES
    if RULES:
        LIB.msc_rules_cleanup(RULES)
    RULES = LIB.msc_create_rules_set()
    error = S()
    for source in order["load"]:
        if "file" in source:
            loaded = LIB.msc_rules_add_file(RULES, source["file"].encode(), ctypes.byref(error))
        else:
            loaded = LIB.msc_rules_add(RULES, source["text"].encode("latin-1"), ctypes.byref(error))
        if loaded < 0:
            return {"error": (error.value or b"").decode("latin-1")}
    return {"ok": True, "library": LIB.msc_who_am_i(ENGINE).decode()}


def judge(order):
    LINES.clear()
    raw = lambda text: text.encode("latin-1")
    transaction = LIB.msc_new_transaction(ENGINE, RULES, None)
    status = 0

    def refused():
        nonlocal status
        verdict = Intervention(200, 0, None, None, 0)
        if LIB.msc_intervention(transaction, ctypes.byref(verdict)) and not status:
            status = verdict.status

    LIB.msc_process_connection(transaction, raw(order.get("client", "192.0.2.1")), 34567, b"127.0.0.1", 80)
    LIB.msc_process_uri(transaction, raw(order["uri"]), raw(order["method"]), raw(order.get("version", "1.1")))
    refused()
    for name, value in order["headers"]:
        name, value = raw(name), raw(value)
        LIB.msc_add_n_request_header(transaction, name, len(name), value, len(value))
    LIB.msc_process_request_headers(transaction)
    refused()
    body = raw(order.get("body", ""))
    if body:
        LIB.msc_append_request_body(transaction, body, len(body))
    LIB.msc_process_request_body(transaction)
    refused()
    response = order.get("response")
    if response:
        for name, value in response["headers"]:
            name, value = raw(name), raw(value)
            LIB.msc_add_n_response_header(transaction, name, len(name), value, len(value))
        LIB.msc_process_response_headers(transaction, response["status"], b"HTTP/1.1")
        refused()
        body = raw(response["body"])
        if body:
            LIB.msc_append_response_body(transaction, body, len(body))
        LIB.msc_process_response_body(transaction)
        refused()
    LIB.msc_process_logging(transaction)
    LIB.msc_transaction_cleanup(transaction)
    return {"log": list(LINES), "status": status}


for line in sys.stdin:
    order = json.loads(line)
    answer = load(order) if "load" in order else judge(order)
    print(json.dumps(answer), flush=True)

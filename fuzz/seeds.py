#!/usr/bin/env python3
"""Write first inputs for the fuzz targets into fuzz/corpus: recorded ClientHellos, PROXY headers, sessions of records, rules, bodies."""

import pathlib

HERE = pathlib.Path(__file__).resolve().parent
hellos = HERE / "corpus" / "client_hello"
headers = HERE / "corpus" / "proxy_protocol"
records = HERE / "corpus" / "tls_record"
old_records = HERE / "corpus" / "tls12_record"
for folder in (hellos, headers, records, old_records):
    folder.mkdir(parents=True, exist_ok=True)
for recording in (HERE.parent / "tests" / "data" / "client_hellos").glob("*.hex"):
    (hellos / recording.stem).write_bytes(bytes.fromhex(recording.read_text()))
signature = b"\r\n\r\n\0\r\nQUIT\n"
addresses = bytes([192, 0, 2, 1, 198, 51, 100, 7, 0xDC, 4, 1, 0xBB])
for name, header in {
    "v1-tcp4": b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n",
    "v1-tcp6": b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n",
    "v1-unknown": b"PROXY UNKNOWN\r\n",
    "v2-local": signature + b"\x20\0\0\0",
    "v2-tcp4": signature + b"\x21\x11\0\x0c" + addresses,
    "v2-tlvs": signature + b"\x21\x11\0\x18" + addresses + b"\x03\0\4\0\0\0\0\x01\0\2h2",
    "v2-tcp6": signature + b"\x21\x21\0\x24" + bytes(36),
}.items():
    (headers / name).write_bytes(header)
# Instructions of the target (fuzz_targets/tls_record.rs): number, arguments, a length before bytes. First suite, records per key.
for name, tape in {
    "data": b"\x02\x00\x03abc" + b"\x08\x10\xff\x20",
    "padding": b"\x02\xe9\x05hello" + b"\x00\x01\x17",
    "key-updates": b"\x03\x01\x00" + b"\x09" + b"\x03\x01\x02" + b"\x08\x01\xff\x20" + b"\x02\x00\x01a",
    "hand-over": b"\x02\x00\x01a" + b"\x0a" + b"\x08\x05\xff\x20" + b"\x0a" + b"\x02\x00\x01b",
    "handshake": b"\x00\x05\x04\x00\x00\x00\x16" + b"\x09",
    "close": b"\x00\x03\x01\x00\x15" + b"\x08\x01\x01\x01" + b"\x0b\xff" + b"\x02\x00\x01a",
    "alert": b"\x00\x03\x01\x5a\x15" + b"\x00\x03\x02\x50\x15",
    "raw": b"\x05\x06\x14\x03\x03\x00\x01\x01" + b"\x09",
    "damaged": b"\x07\x09\x03\x04abc\x17" + b"\x09",
}.items():
    for suite in range(3):
        (records / f"{name}-{suite}").write_bytes(bytes([suite, 5]) + tape)
# The same for fuzz_targets/tls12_record.rs.
for name, tape in {
    "data": b"\x00\x03\x03abc" + b"\x08\x10\xff\x20",
    "hello": b"\x03\x20\x07" + b"\x09" + b"\x08\x01\xff\x20" + b"\x02\x00\x01a" + b"\x03\x01\x00",
    "hand-over": b"\x02\x00\x01a" + b"\x0a" + b"\x08\x05\xff\x20" + b"\x0a" + b"\x02\x00\x01b",
    "long": b"\x02\xf8\x10" + b"0123456789abcdef" + b"\x02\xf9\x00",
    "close": b"\x00\x01\x02\x01\x00" + b"\x08\x01\x01\x01" + b"\x0b\xff" + b"\x02\x00\x01a",
    "alerts": b"\x00\x01\x02\x01\x5a" + b"\x00\x01\x02\x02\x50",
    "raw": b"\x05\x06\x14\x03\x03\x00\x01\x01" + b"\x09",
    "version": b"\x06\x17\x03\x01\x03abc" + b"\x09",
    "damaged": b"\x07\x09\x03\x04abc\x17" + b"\x09",
    "worn": b"\x08\x01\xff\x20" * 3 + b"\x03\x02\x00" + b"\x09",
}.items():
    for suite in range(6):
        (old_records / f"{name}-{suite}").write_bytes(bytes([suite, 25]) + tape)

# Rules, bodies and values for the engine in http-filter/seclang.
for target, inputs in {
    "rules": {
        "rx": b'SecRule ARGS|!ARGS:a|&TX:/^x/ "!@rx (?i)sel(?:ect)?\\s" "id:1,phase:2,deny,status:403,t:none,t:urlDecodeUni,capture,multiMatch,'
        b"msg:'a %{TX.0}',logdata:'%{MATCHED_VAR}',tag:'b',severity:'CRITICAL',setvar:'tx.s=+%{tx.n}',chain\"\n"
        b'  SecRule REQUEST_HEADERS:User-Agent "@pmFromFile words.data" "t:lowercase,ctl:ruleRemoveTargetById=1;ARGS:b"\n',
        "flow": b'SecAction "id:2,phase:1,nolog,pass,skipAfter:END,initcol:ip=%{REMOTE_ADDR},expirevar:ip.x=60"\nSecMarker "END"\n'
        b'SecRuleUpdateTargetById 1 "!ARGS:c"\nSecRuleRemoveByTag attack\nSecDefaultAction "phase:1,log,pass"\nSecRuleEngine DetectionOnly\n',
        "operators": b"".join(
            b'SecRule ARGS "@%s" "id:%d,phase:2,pass"\n' % (operator, number + 10)
            for number, operator in enumerate(
                (b"pm a b", b"within %{tx.x}", b"streq a", b"beginsWith a", b"endsWith b", b"contains c", b"eq 1", b"ge 2", b"ipMatch 10.0.0.0/8,::1",
                 b"validateByteRange 32-126", b"validateUtf8Encoding", b"validateUrlEncoding", b"detectSQLi", b"detectXSS", b"unconditionalMatch")
            )
        ),
    },
    "transform": {"mixed": b"%u2032&lt;\\u0061/*x*/../a\\41 0x4142QUJD=\xc3\xa9+ --#", "path": b"/a/./../..//b\\c"},
    "urlencoded": {"form": b"a=1&b=%41+%zz&&=c&d"},
    "multipart": {
        "form": b'multipart/form-data; boundary=b\n--b\r\nContent-Disposition: form-data; name="f"; filename="x\\"y"\r\nContent-Type: a;\r\n b\r\n\r\n'
        b"v\r\n--b\r\nContent-Disposition: form-data; name='g'\r\n\r\n\r\n--b--\r\n",
        "quoted": b'multipart/form-data boundary ="b"\n--"b"\n-- b\n--b\n\n--b--',
    },
    "json": {"all": b'{"a":[1,-2.5e3,{"b":null,"":true}],"c\\u00e9\\ud83d\\ude00":"\\n","d":[[],{}]}'},
    "xml": {"all": b"<?xml version='1.0'?><!DOCTYPE a><a b='&lt;' xmlns:c='d'>&#65;<![CDATA[x]]><!-- y --><?z?><e/></a>"},
}.items():
    folder = HERE / "corpus" / f"seclang_{target}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in inputs.items():
        (folder / name).write_bytes(content)

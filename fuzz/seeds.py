#!/usr/bin/env python3
"""Write first inputs for the fuzz targets into fuzz/corpus: the recorded ClientHellos, a few PROXY headers."""

import pathlib

HERE = pathlib.Path(__file__).resolve().parent
hellos = HERE / "corpus" / "client_hello"
headers = HERE / "corpus" / "proxy_protocol"
for folder in (hellos, headers):
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

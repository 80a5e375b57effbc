#!/usr/bin/env python3
"""Record the first ClientHello of real clients on 127.0.0.1, as hex, beside this script.

Every client is pointed at a listener of our own and told that it is talking to shop.test; no name is
looked up, no /etc/hosts entry is needed and nothing is sent back: the socket is closed after the hello.
Usage: record.py [NAME ...]      (without names: all that are installed)
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = "shop.test"
PATIENCE_SECONDS = 60

PYTHON_VERSION = [sys.executable, "-c", "import sys, ssl; print('Python', sys.version.split()[0], ssl.OPENSSL_VERSION)"]
PYTHON = """
import socket, ssl, sys
context = ssl.create_default_context()
context.set_alpn_protocols(["http/1.1"])
context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))), server_hostname="shop.test")
"""
PYTHON_NO_SNI = """
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname = False
context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
"""
NODE = """
require("https").get({host: "127.0.0.1", port: +process.argv[1], servername: "shop.test",
  headers: {host: "shop.test"}}).on("error", () => {});
"""
NODE_H2 = """
require("http2").connect("https://127.0.0.1:" + process.argv[1], {servername: "shop.test"})
  .on("error", () => process.exit(0));
"""
FIREFOX_PREFS = """
user_pref("network.dns.forceResolve", "127.0.0.1");
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("toolkit.telemetry.enabled", false);
user_pref("app.update.enabled", false);
user_pref("network.proxy.type", 0);
"""
CHROMIUM = (
    "chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --user-data-dir={tmp} "
    "--host-resolver-rules=MAP\x00shop.test\x00127.0.0.1 https://shop.test:{port}/"
)

# name: (command, how to ask for the version). {port}, {tmp} and {here} are filled in; \0 stands for a blank.
CLIENTS = {
    "curl": ("curl -sk --resolve shop.test:{port}:127.0.0.1 https://shop.test:{port}/", "curl --version"),
    "curl-http1.1": (
        "curl -sk --http1.1 --resolve shop.test:{port}:127.0.0.1 https://shop.test:{port}/",
        "curl --version",
    ),
    "openssl": ("openssl s_client -connect 127.0.0.1:{port} -servername shop.test", "openssl version"),
    "openssl-alpn": (
        "openssl s_client -connect 127.0.0.1:{port} -servername shop.test -alpn h2,http/1.1",
        "openssl version",
    ),
    "openssl-tls1.2": ("openssl s_client -tls1_2 -connect 127.0.0.1:{port} -servername shop.test", "openssl version"),
    "openssl-acme": (
        "openssl s_client -connect 127.0.0.1:{port} -servername shop.test -alpn acme-tls/1",
        "openssl version",
    ),
    "openssl-nosni": ("openssl s_client -noservername -connect 127.0.0.1:{port}", "openssl version"),
    "wget": ("wget -q --no-check-certificate --tries=1 -O /dev/null https://127.0.0.1:{port}/", "wget --version"),
    "python": ([sys.executable, "-c", PYTHON, "{port}"], PYTHON_VERSION),
    "python-nosni": ([sys.executable, "-c", PYTHON_NO_SNI, "{port}"], PYTHON_VERSION),
    "gnutls": ("gnutls-cli --insecure --sni-hostname shop.test -p {port} 127.0.0.1", "gnutls-cli --version"),
    "gnutls-alpn": (
        "gnutls-cli --insecure --sni-hostname shop.test --alpn h2 --alpn http/1.1 -p {port} 127.0.0.1",
        "gnutls-cli --version",
    ),
    "node": (["node", "-e", NODE, "{port}"], "node --version"),
    "node-h2": (["node", "-e", NODE_H2, "{port}"], "node --version"),
    "java": ("java {here}/clients/Hello.java {port}", "java -version"),
    "go": ("go run {here}/clients/hello.go {port}", "go version"),
    "nss": ("tstclnt -h 127.0.0.1 -p {port} -a shop.test -D -o -V tls1.0:tls1.3", "dpkg-query -W libnss3-tools"),
    "chromium": (CHROMIUM, "chromium --version"),
    "firefox": ("firefox-esr --headless --no-remote --profile {tmp} https://shop.test:{port}/", "firefox-esr --version"),
}


def words(command, **filled):
    parts = command.split() if isinstance(command, str) else command
    for key, value in filled.items():
        parts = [part.replace("{" + key + "}", str(value)) for part in parts]
    return [part.replace("\0", " ") for part in parts]


def read_exactly(stream, count):
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def read_hello(stream):
    """The TLS records that carry one ClientHello, as they came."""
    wire, handshake = b"", b""
    while len(handshake) < 4 or len(handshake) < 4 + int.from_bytes(handshake[1:4], "big"):
        header = read_exactly(stream, 5)
        if header[0] != 0x16:
            raise ValueError("not a handshake record")
        fragment = read_exactly(stream, int.from_bytes(header[3:5], "big"))
        wire += header + fragment
        handshake += fragment
    return wire


def record(name):
    command, version = CLIENTS[name]
    if not shutil.which(words(command, port=0, tmp="", here=HERE)[0]):
        return f"{name}: not installed"
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as tmp:
        listener.settimeout(PATIENCE_SECONDS)
        with open(os.path.join(tmp, "user.js"), "w") as prefs:
            prefs.write(FIREFOX_PREFS)
        filled = dict(port=listener.getsockname()[1], tmp=tmp, here=HERE)
        client = subprocess.Popen(
            words(command, **filled),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ, HOME=tmp, GOCACHE=os.path.join(tmp, "go")),
            start_new_session=True,
        )
        try:
            while True:
                stream, _ = listener.accept()
                stream.settimeout(PATIENCE_SECONDS)
                with stream:
                    try:
                        wire = read_hello(stream)
                        break
                    except (EOFError, OSError):
                        continue  # a preconnection that said nothing
        except (OSError, ValueError) as problem:
            return f"{name}: {problem}"
        finally:
            os.killpg(client.pid, 9)
            client.wait()
    with open(os.path.join(HERE, f"{name}.hex"), "w") as out:
        out.write("\n".join(textwrap.wrap(wire.hex(), 96)) + "\n")
    said = subprocess.run(words(version, **filled), capture_output=True, text=True)
    first = re.sub(r"\s+", " ", (said.stdout or said.stderr).strip().splitlines()[0])
    return f"| `{name}.hex` | {first[:70]} | {len(wire)} |"


if __name__ == "__main__":
    for wanted in sys.argv[1:] or CLIENTS:
        print(record(wanted), flush=True)

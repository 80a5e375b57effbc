#!/usr/bin/env python3
"""Builds labelled corpora for `bulkhead rules test --corpus DIR`, and for `compare.py`: `build.py DIR`.

Attacks are the payload lists of sqlmap, wapiti, wfuzz, fray, brs-kb and commonhuman-payloads, which are fetched with pip (and wfuzz with apt-get, if it is
installed); sqlmap's are recorded while it attacks a small program on the loopback (`record.py`). Their licences (GPL, AGPL, MIT) allow that and keep
them out of this repository. Harmless requests are made here, with names and addresses of Faker and prose of Debian's fortunes and manual pages.
"""

import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = ["sqlmap==1.10.10", "wapiti3==3.2.3", "fray==3.5.249", "brs-kb==4.0.2", "commonhuman-payloads==0.1.7", "faker==40.54.0"]


def write(folder, label, sets):
    for name, requests in sets:
        with open(f"{folder}/{label}-{name}.jsonl", "w", encoding="utf-8") as file:
            for request in requests:
                try:
                    file.write(json.dumps({"label": label, "set": name, **request}, ensure_ascii=False) + "\n")
                except UnicodeEncodeError:
                    continue  # half a surrogate pair: no bytes at all
        print(f"{label} {name}: {len(requests)}")


def main(folder):
    packages = f"{folder}/packages"
    if not os.path.isdir(packages):
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", packages, *PACKAGES], check=True)
    recorded = f"{folder}/sqlmap.record"
    if not os.path.exists(recorded):
        subprocess.run([sys.executable, f"{HERE}/record.py", packages, recorded], check=True)
    sys.path[:0] = [HERE, packages]
    import attacks
    import benign

    with open(f"{HERE}/sentences.txt", encoding="utf-8") as file:
        sentences = [line.strip() for line in file if line.strip()]
    os.makedirs(f"{folder}/corpora", exist_ok=True)
    write(f"{folder}/corpora", "attack", attacks.sets(packages, recorded))
    write(f"{folder}/corpora", "benign", benign.sets(20261123, sentences))


if __name__ == "__main__":
    main(sys.argv[1])

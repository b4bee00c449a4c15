"""Connect a program to Sổ Khoẻ with a key of its own (SMART backend services).
pip install httpx joserfc; then:
python connect.py keys KEY.json > PUBLIC.json   (once: make a key; register PUBLIC.json)
python connect.py read KEY.json CLIENT_ID http://127.0.0.1:8600/fhir
"""

import json
import sys
import time
import uuid
from pathlib import Path

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey


def make_key(file: Path) -> None:
    key = ECKey.generate_key("P-384", {"kid": uuid.uuid4().hex})
    file.write_text(json.dumps(key.as_dict(private=True)))
    print(json.dumps({"keys": [key.as_dict(private=False)]}))


def token(file: Path, client_id: str, fhir: str) -> str:
    where = httpx.get(f"{fhir}/.well-known/smart-configuration").json()["token_endpoint"]
    key = ECKey.import_key(json.loads(file.read_text()))
    said = {"iss": client_id, "sub": client_id, "aud": where, "jti": uuid.uuid4().hex}
    claims = {**said, "exp": int(time.time()) + 240}
    word = jwt.encode({"alg": "ES384", "kid": key.kid}, claims, key, algorithms=["ES384"])
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    form = {"grant_type": "client_credentials", "client_assertion_type": kind}
    answer = httpx.post(where, data={**form, "client_assertion": word})
    return str(answer.raise_for_status().json()["access_token"])


if sys.argv[1] == "keys":
    make_key(Path(sys.argv[2]))
else:
    headers = {"Authorization": "Bearer " + token(Path(sys.argv[2]), *sys.argv[3:])}
    print(httpx.get(f"{sys.argv[4]}/Patient?_summary=count", headers=headers).text)

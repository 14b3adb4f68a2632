"""What schemathesis must not do, and what it cannot know. Only what is right by itself is put in the place of something that is: what is
wrong on purpose stays wrong."""

import itertools
import os
import re

import schemathesis

# The credential that it calls with: its key, owner and company. Once that is revoked, or its owner may do nothing any more, every answer is 401
# and nothing is tried. Whatever call would do that is made with a name that does not exist.
KEPT = set(os.environ["KEYWARD_KEPT"].split())
NOBODY = {"id": "key_00000000000000000000"}

# Keys that there are: one that is read, one that is changed, one that is revoked, and others to be replaced.
READ, CHANGED, REVOKED, *REPLACED = os.environ["KEYWARD_KEYS"].split()
TO_REPLACE = itertools.cycle(REPLACED)
SEEN = set()

COUNT = itertools.count()
KEY_ID = re.compile("key_[0-9A-Za-z]{20}")
ID = re.compile("[!$&'()*+.0-9:<=>@A-Z\\[\\]^_`a-z{|}~-]{1,128}")
TIME = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]Z")
IDEMPOTENCY_KEY = re.compile("[!-~]([ -~]{0,200}[!-~])?")


def fits(form, value):
    return isinstance(value, str) and form.fullmatch(value)


def existing(operation):
    """A key that the operation may be tried on; deleting takes what schemathesis itself has found."""
    if operation == "rotateKey":
        return next(TO_REPLACE)
    return {"getKey": READ, "changeKey": CHANGED, "revokeKey": REVOKED}.get(operation)


def names_kept(owner):
    return isinstance(owner, dict) and isinstance(owner.get("owner"), str) and owner["owner"] in KEPT


@schemathesis.hook
def after_call(context, case, response):
    SEEN.update(KEY_ID.findall(response.text))


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = case.operation.definition.raw.get("operationId")
    path, body = case.path_parameters or {}, case.body
    if fits(KEY_ID, path.get("id")) and path["id"] not in SEEN and existing(operation):
        path["id"] = existing(operation)
    # Mostly the company that most is known of; a time in the future, and an owner that there is.
    company = (case.query or {}).get("company")
    if fits(ID, company) and next(COUNT) % 4:
        case.query["company"] = "demo"
    if operation in ("createKey", "changeKey", "rotateKey", "createSignInLink") and isinstance(body, dict):
        known = {"expires_at": (TIME, "2099-12-31T23:59:59Z"), "owner": (ID, "ann"), "company": (ID, "demo")}
        case.body = {name: known[name][1] if name in known and fits(known[name][0], value) else value for name, value in body.items()}
    if case.method.upper() in ("GET", "HEAD"):
        return
    for name, value in path.items():
        if isinstance(value, str) and value in KEPT:
            path[name] = NOBODY.get(name, "nobody.here")
    if operation == "putOwners" and isinstance(body, dict) and isinstance(body.get("owners"), list):
        case.body = body | {"owners": [owner for owner in body["owners"] if not names_kept(owner)]}
    # The same idempotency key with another request is refused, which is no answer to whether the request is right.
    key = (case.headers or {}).get("Idempotency-Key")
    if fits(IDEMPOTENCY_KEY, key):
        case.headers["Idempotency-Key"] = f"{key}-{next(COUNT)}"

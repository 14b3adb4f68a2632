"""What schemathesis must not do, and what it cannot know. Only what is right by itself is put in the place of something that is: what is
wrong on purpose stays wrong."""

import itertools
import json
import os
import re
import urllib.parse

import schemathesis

# The credential that it calls with: its key, owner and company. Once that is revoked, or its owner may do nothing any more, every answer is 401
# and nothing is tried. Whatever call would do that is made with a name that does not exist.
KEPT = set(os.environ["KEYWARD_KEPT"].split())
NOBODY = {"id": "key_00000000000000000000"}

# Keys that there are: one that is read, one that is changed, one that is revoked, and others to be replaced.
READ, CHANGED, REVOKED, *REPLACED = os.environ["KEYWARD_KEYS"].split()
TO_REPLACE = itertools.cycle(REPLACED)
# Webhooks that there are: one that is read, and one that is changed and sends again. What they send is taken at RECEIVER.
WEBHOOK_READ, WEBHOOK_CHANGED = os.environ["KEYWARD_WEBHOOKS"].split()
RECEIVER = os.environ["KEYWARD_RECEIVER"]
# The backup of a company that is no longer there, and a scanner's alert with its signature: nothing that is made up is either.
BACKUP, ALERT = os.environ["KEYWARD_BACKUP"], json.loads(os.environ["KEYWARD_ALERT"])
SEEN = set()

COUNT = itertools.count()
KEY_ID = re.compile("key_[0-9A-Za-z]{20}")
WEBHOOK_ID = re.compile("wh_[0-9a-f]{24}")
MESSAGE_ID = re.compile("msg_[0-9a-f]{32}")
MESSAGES = []
WEB = re.compile("https?://[^@#]*")
ID = re.compile("[!$&'()*+.0-9:<=>@A-Z\\[\\]^_`a-z{|}~-]{1,128}")
TIME = re.compile(
    "(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]+)?(Z|\\+00:00)"
)
PERMISSION = re.compile("\\*|[a-z0-9_-]+(\\.[a-z0-9_-]+)*(\\.\\*)?")
IDEMPOTENCY_KEY = re.compile("[!-~]([ -~]{0,200}[!-~])?")


def fits(form, value):
    return isinstance(value, str) and form.fullmatch(value)


def existing(operation):
    """A key that the operation may be tried on; deleting takes what schemathesis itself has found."""
    if operation == "rotateKey":
        return next(TO_REPLACE)
    return {
        "getKey": READ,
        "readKeyUsage": READ,
        "explainKey": READ,
        "changeKey": CHANGED,
        "revokeKey": REVOKED,
        "getWebhook": WEBHOOK_READ,
        "listDeliveries": WEBHOOK_CHANGED,
        "changeWebhook": WEBHOOK_CHANGED,
        "replayDeliveries": WEBHOOK_CHANGED,
    }.get(operation)


def is_right(case):
    return case.meta is not None and case.meta.generation.mode.is_positive


def possible(members):
    """A time in the future, an owner and a company that there are, and permissions that the owner has, for others that are right."""
    known = {"expires_at": (TIME, "2099-12-31T23:59:59Z"), "owner": (ID, "ann"), "company": (ID, "demo")}
    changed = {name: known[name][1] for name, value in members.items() if name in known and fits(known[name][0], value)}
    asked = members.get("permissions")
    if isinstance(asked, list) and len(asked) <= 100 and all(fits(PERMISSION, one) and len(one) <= 100 for one in asked) and next(COUNT) % 4:
        changed["permissions"] = ["orders.read"]
    return members | changed


def names_kept(owner):
    return isinstance(owner, dict) and isinstance(owner.get("owner"), str) and owner["owner"] in KEPT


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else json.dumps(value).encode()


@schemathesis.hook
def filter_query(context, query):
    """The platform itself refuses an address of more than 16 KB, before the control plane sees it."""
    return not query or len(urllib.parse.urlencode(query, doseq=True, errors="replace")) < 12_000


@schemathesis.hook
def after_call(context, case, response):
    SEEN.update(KEY_ID.findall(response.text))
    SEEN.update(WEBHOOK_ID.findall(response.text))
    MESSAGES.extend(MESSAGE_ID.findall(response.text)[:1])


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = case.operation.definition.raw.get("operationId")
    path, body = case.path_parameters or {}, case.body
    if (fits(KEY_ID, path.get("id")) or fits(WEBHOOK_ID, path.get("id"))) and existing(operation):
        if path["id"] not in SEEN or next(COUNT) % 2:
            path["id"] = existing(operation)
    # Mostly the company that most is known of.
    company = (case.query or {}).get("company")
    if fits(ID, company) and next(COUNT) % 4:
        case.query["company"] = "demo"
    if operation in ("createKey", "changeKey", "rotateKey", "createSignInLink") and isinstance(body, dict):
        case.body = possible(body)
    if operation in ("getCompany", "exportCompany") and fits(ID, path.get("company")) and next(COUNT) % 2:
        path["company"] = "demo"
    if operation == "importCompany" and is_right(case) and next(COUNT) % 4:
        path["company"], case.body = "gone", BACKUP
    if operation == "importKeys" and isinstance(body, dict) and isinstance(body.get("keys"), list):
        case.body = body | {"keys": [possible(key) if isinstance(key, dict) else key for key in body["keys"]]}
    if operation == "rollBackPolicy" and is_right(case) and isinstance(body, dict) and next(COUNT) % 2:
        case.body = body | {"version": 1}
    if operation in ("createWebhook", "changeWebhook") and isinstance(body, dict) and fits(WEB, body.get("url")):
        case.body = body | {"url": RECEIVER}
    if operation == "replayDeliveries" and isinstance(body, dict) and fits(MESSAGE_ID, body.get("delivery")) and MESSAGES:
        case.body = body | {"delivery": MESSAGES[-1]}
    if operation == "reportLeaks" and is_right(case) and next(COUNT) % 2:
        case.body = json.loads(ALERT["body"])
        case.headers["Github-Public-Key-Identifier"], case.headers["Github-Public-Key-Signature"] = "one", ALERT["signature"]
    if case.method.upper() in ("GET", "HEAD"):
        return
    for name, value in path.items():
        if isinstance(value, str) and value in KEPT:
            path[name] = NOBODY.get(name, "nobody.here")
    if operation == "deleteWebhook" and path.get("id") in (WEBHOOK_READ, WEBHOOK_CHANGED):
        path["id"] = "wh_000000000000000000000000"
    if operation == "deleteKey" and path.get("id") in (READ, CHANGED, REVOKED, *REPLACED):
        path["id"] = NOBODY["id"]
    if operation == "putOwners" and isinstance(body, dict) and isinstance(body.get("owners"), list):
        case.body = body | {"owners": [owner for owner in body["owners"] if not names_kept(owner)]}
        if body.get("deactivate_missing") is True and next(COUNT) % 8:
            case.body["deactivate_missing"] = False
    # The same idempotency key with another request is refused, which is no answer to whether the request is right.
    key = (case.headers or {}).get("Idempotency-Key")
    if fits(IDEMPOTENCY_KEY, key):
        case.headers["Idempotency-Key"] = f"{key}-{next(COUNT)}"

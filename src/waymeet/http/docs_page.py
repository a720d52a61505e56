"""The documentation page: one self-contained document that reads `/openapi.json` and works without the internet."""

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files

from waymeet.http.call import Document


@cache
def docs_page() -> Document:
    """The page, under a policy that lets it run its own script and style and talk to this server, and nothing else."""
    page = files("waymeet.http").joinpath("docs.html").read_text(encoding="utf-8")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash_of(page, 'script')}",
            f"style-src {_hash_of(page, 'style')}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
    return Document(
        page.encode(),
        "text/html; charset=utf-8",
        {
            "content-security-policy": policy,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
        },
    )


def _hash_of(page: str, element: str) -> str:
    match = re.search(rf"<{element}>(.*?)</{element}>", page, re.DOTALL)
    assert match is not None, f"the documentation page has no {element} element"
    digest = base64.b64encode(hashlib.sha256(match[1].encode()).digest()).decode()
    return f"'sha256-{digest}'"

"""Whether W&B can be reached with a key: asked before anything is read or trained, so that nothing is lost when it cannot."""

import base64
import http.client
import json
import netrc
import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from batgen.errors import ConfigError

#: What to do instead, in a run.
OFFLINE = "Or train offline, and upload later: logger.wandb.mode=offline"
_CLOUD = "https://api.wandb.ai"
_TIMEOUT_S = 5.0
#: (address, key) that this process has asked about: each job of a sweep is checked before the first starts.
_ACCEPTED: set[tuple[str, str | None]] = set()


def import_wandb() -> Any:
    """The module wandb, told to keep quiet. Raises ConfigError where it is not installed."""
    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        import wandb
    except ImportError as error:
        raise ConfigError(f"logger=wandb: wandb cannot be imported ({error}). Install it: pip install wandb") from None
    return wandb


def check_online(instead: str = OFFLINE) -> str:
    """The address of the W&B server, once it has answered and not refused the key. Takes seconds at most.

    The address is WANDB_BASE_URL, or what `wandb login` wrote down; the key WANDB_API_KEY, or that of the host in ~/.netrc.
    instead: ends every message. Raises ConfigError without a key, without an answer, or with a key that is refused.
    """
    wandb = import_wandb()
    settings = wandb.Settings()
    hosts = [_CLOUD, str(settings.base_url)]
    try:
        settings.update_from_system_settings()
        settings.update_from_env_vars(dict(os.environ))
    except ValueError as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[1:3])
        raise ConfigError(f"W&B: a WANDB_... variable cannot be used ({reason}). Mend it. {instead}") from None
    url = str(settings.base_url).rstrip("/")
    if os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        _ask(url, None, instead)
        return url
    # an entry for W&B's cloud is good for any of its addresses
    key = settings.api_key or _netrc_key([url, *(hosts if url == hosts[-1].rstrip("/") else [])])
    if not key:
        raise ConfigError(
            f"W&B online needs a key for {url}, and there is none. Run `wandb login`, or set WANDB_API_KEY. {instead}"
        )
    _ask(url, key, instead)
    return url


def _netrc_key(urls: list[str]) -> str | None:
    """The password of the first server that the user's netrc file knows, where there is one that can be read."""
    named = os.environ.get("NETRC")
    for path in [Path(named)] if named else [Path.home() / ".netrc", Path.home() / "_netrc"]:
        try:
            known = netrc.netrc(str(path.expanduser())).hosts
        except (OSError, netrc.NetrcParseError):
            continue
        for name in (urlsplit(url).netloc for url in urls):
            if name in known and known[name][2]:
                return known[name][2]
    return None


def _ask(url: str, key: str | None, instead: str) -> None:
    """Ask the server who we are, through the proxy where there is one. An odd answer is left to wandb to judge."""
    if (url, key) in _ACCEPTED:
        return
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(f"api:{key}".encode()).decode()
    query = json.dumps({"query": "query Viewer { viewer { id } }"}).encode()
    try:
        request = urllib.request.Request(f"{url}/graphql", query, headers)
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S):
            pass
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            raise ConfigError(
                f"W&B at {url} refuses the key ({error.code}). Run `wandb login --relogin`. {instead}"
            ) from None
    except (OSError, ValueError, http.client.HTTPException) as error:  # URLError is an OSError
        reason = getattr(error, "reason", error)
        if not isinstance(reason, ssl.SSLError):  # wandb may know a certificate that we do not
            raise ConfigError(
                f"W&B at {url} cannot be reached ({reason}). Check the network, WANDB_BASE_URL and `wandb login`. {instead}"
            ) from None
    _ACCEPTED.add((url, key))

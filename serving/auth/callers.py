"""Who asked for a run, as its graph is told: what `authenticate` returned may hold tokens, so it is kept sealed, and no
longer than the run goes on."""

import json
from collections.abc import Mapping
from typing import Any

from privacy.sealer import Sealer
from serving.auth.user import USER, User, with_configurable


class Callers:
    """`key`: the server's own, which the vault has too."""

    def __init__(self, key: bytes) -> None:
        self._sealer = Sealer(key)

    def sealed(self, config: Mapping[str, Any], run_id: str) -> tuple[Mapping[str, Any], bytes | None]:
        """The config as it may lie in clear, with who it was, and the rest of them, if there is anybody."""
        user = (config.get("configurable") or {}).get(USER)
        if not isinstance(user, dict) or not isinstance(user.get("identity"), str):
            return config, None
        told = User({"display_name": user["identity"], "is_authenticated": True, "permissions": [], **user})
        secret = self._sealer.seal(json.dumps(told), _bound_to(run_id))
        return with_configurable(config, told.lasting.configurable), secret

    def opened(self, config: Mapping[str, Any], run_id: str, sealed: bytes | None) -> Mapping[str, Any]:
        """Raises VaultUnreadable. Of a run that had ended before, nothing is left but who it was."""
        if sealed is None:
            return config
        told = User(json.loads(self._sealer.open(sealed, _bound_to(run_id))))
        return with_configurable(config, told.configurable)


def _bound_to(run_id: str) -> bytes:
    return f"caller of run {run_id}".encode()

"""A studio that owns one object of every kind."""

import re
from typing import Any

from tests.system.contract.studio import Studio, ask

MARK = "only-the-owner-may-read-this"
"""In everything that the owner's objects hold beside their names and ids."""


class Owned:
    """Objects of every kind, and a look at all of them."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        api = studio.api
        variables = [{"key": "NAME", "value": MARK, "is_secret": False}]
        self.app = studio.game(docker_tag=MARK, envs=variables, arguments=MARK)
        api.patch(f"/v1/app/{self.app}", {"image": MARK})
        entry = api.post(f"/v1/app/{self.app}/version/1.0/whitelist", {"cidr": "10.0.0.0/8", "label": MARK})
        session = studio.play(self.app, webhook_url=f"http://127.0.0.1:9/{MARK}")
        self.session_id = session["session_id"]
        self.request_id = session["deployment"]["request_id"]
        # Not in the version, whose change would be seen in its list.
        api.post(f"/v1/deployments/{self.request_id}/tags", {"name": MARK})
        environment = ask(session["deployment"])["environment"]
        self.context_token = environment["ARBITRIUM_CONTEXT_TOKEN"]
        (delivery,) = api.get("/v1/webhooks/deliveries")["data"]
        # Without a webhook, whose delivery would be seen in the list.
        relay = studio.relay()
        self.relay_session_id = relay["session_id"]
        # Not deployed: only so can it be deleted.
        self.lobby_name = f"owned-{self.app}"[:63]
        api.post("/v1/lobbies", {"name": self.lobby_name})
        self._room: Any = None
        self.values = {
            "app": self.app,
            "version": "1.0",
            "ip": "203.0.113.7",
            "entry_id": entry["whitelist_entry"]["id"],
            "session_id": self.session_id,
            "request_id": self.request_id,
            "tag": MARK,
            "delivery_id": delivery["id"],
            "relay_session_id": self.relay_session_id,
            "lobby_name": self.lobby_name,
            "user_token": relay["session_users"][0]["authorization_token"],
            "last_user_token": relay["session_users"][1]["authorization_token"],
            "security_number": environment["ARBITRIUM_CONTEXT_URL"].rpartition("/")[2],
            "access_point_id": environment["ARBITRIUM_DELETE_URL"].rpartition("/")[2],
        }

    def path(self, template: str) -> str:
        named = self.named_in(template)
        return re.sub(r"\{(\w+)\}", lambda found: named[found[1]], template)

    def named_in(self, template: str) -> dict[str, str]:
        """What the names in a path's template stand for: a `session_id` is a relay session's where those are."""
        own = self.relay_session_id if template.startswith("/v1/relays/") else self.session_id
        names = re.findall(r"\{(\w+)\}", template)
        if {"lobby", "lobby_id"} & set(names):
            players = {"lobby_id": self.room["lobby_id"], "lobby": self.lobby_address}
            return {name: players[name] for name in names}
        return {name: own if name == "session_id" else self.values[name] for name in names if name in self.values}

    @property
    def room(self) -> Any:
        """A room in a lobby of players."""
        if self._room is None:
            lobby = self.studio.lobby(f"players-{self.app}"[:63])
            self.lobby_address = lobby["url"].rpartition("/")[2]
            room = {"name": MARK, "capacity": 1000, "player": {"id": "host"}}
            self._room = self.studio.api.post(f"/l/{self.lobby_address}/lobbies", room)
        return self._room

    def look(self) -> Any:
        """All of it as its owner sees it, without what changes by itself."""
        api = self.studio.api
        session, status = self.studio.session(self.session_id), self.studio.status(self.request_id)
        del session["elapsed"], status["elapsed_time"]
        version = f"/v1/app/{self.app}/version/1.0"
        return [
            session,
            status,
            *(
                api.get(path)
                for path in (
                    f"/v1/app/{self.app}",
                    f"/v1/app/{self.app}/versions",
                    f"{version}/whitelist",
                    f"/v1/deployments/{self.request_id}/tags",
                    f"/v1/relays/sessions/{self.relay_session_id}",
                    "/v1/relays/sessions",
                    f"/v1/lobbies/{self.lobby_name}",
                    "/v1/apps",
                    "/v1/sessions",
                    "/v1/deployments",
                    "/v1/webhooks/secret",
                )
            ),
            # Its attempts go on by themselves.
            api.get("/v1/webhooks/deliveries")["total_count"],
        ]

"""What langgraph_sdk finds of the server that hosted code runs in: clients without an address, and the cache.

It looks for a package of the vendor's; what it would take from there stands in these names of its own.
"""

from typing import Any


def serve_sdk() -> None:
    """Before hosted code is imported, for it may make its client right then."""
    import langgraph_sdk._async.client
    import langgraph_sdk.cache

    from serving.hosting.cache import CACHE
    from serving.hosting.loopback import Loopback

    client: Any = langgraph_sdk._async.client
    client.get_asgi_transport = lambda: Loopback
    cache: Any = langgraph_sdk.cache
    cache._cache_get, cache._cache_set, cache._api_swr = CACHE.get, CACHE.set, CACHE.swr

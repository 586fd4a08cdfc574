"""The probe against a real HTTP server on loopback that speaks as vLLM does."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from gpu.errors import EngineUnavailable
from gpu.probe import probe, read_load
from tests.ports import free_port

KEY = "k-for-this-test"

# Two engine cores of one server, as data parallelism gives them.
EXPOSITION = """\
# HELP python_info Python platform information
# TYPE python_info gauge
python_info{implementation="CPython",major="3",minor="12"} 1.0
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="tiny"} 3.0
vllm:num_requests_running{engine="1",model_name="tiny"} 4.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="tiny"} 0.0
vllm:num_requests_waiting{engine="1",model_name="tiny"} 2.0
# HELP vllm:num_requests_waiting_by_reason Number of waiting requests by reason.
# TYPE vllm:num_requests_waiting_by_reason gauge
vllm:num_requests_waiting_by_reason{engine="1",model_name="tiny",reason="capacity"} 2.0
# HELP vllm:kv_cache_usage_perc KV-cache usage. 1 means 100 percent usage.
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.125
vllm:kv_cache_usage_perc{engine="1",model_name="tiny"} 0.75
# HELP vllm:prefix_cache_queries_total Prefix cache queries, in terms of number of queried tokens.
# TYPE vllm:prefix_cache_queries_total counter
vllm:prefix_cache_queries_total{engine="0",model_name="tiny"} 1217.0
vllm:prefix_cache_queries_total{engine="1",model_name="tiny"} 1.217e+03
# HELP vllm:prefix_cache_queries_created Prefix cache queries, in terms of number of queried tokens.
# TYPE vllm:prefix_cache_queries_created gauge
vllm:prefix_cache_queries_created{engine="0",model_name="tiny"} 1.7637e+09
# HELP vllm:prefix_cache_hits_total Prefix cache hits, in terms of number of cached tokens.
# TYPE vllm:prefix_cache_hits_total counter
vllm:prefix_cache_hits_total{engine="0",model_name="tiny"} 1216.0
vllm:prefix_cache_hits_total{engine="1",model_name="tiny"} 0.0
"""


class Server:
    """What one vLLM address answers; a test changes the parts it is about."""

    def __init__(self) -> None:
        self.health = 200
        self.metrics = EXPOSITION
        self.models = json.dumps({"object": "list", "data": [{"id": "tiny", "object": "model"}]})
        answers = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                authorised = self.headers.get("Authorization") == f"Bearer {KEY}"
                status, body = {
                    "/health": (answers.health, ""),
                    "/v1/models": (200, answers.models) if authorised else (401, '{"error":"Unauthorized"}'),
                    "/metrics": (200, answers.metrics),
                }.get(self.path, (404, ""))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"


@pytest.fixture
def vllm() -> Iterator[Server]:
    server = Server()
    thread = Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


async def test_the_probe_tells_models_load_and_cache_share_over_all_engine_cores(vllm: Server) -> None:
    status = await probe(vllm.url, KEY)
    assert status.models == ("tiny",)
    assert (status.load.requests_running, status.load.requests_waiting) == (7, 2)
    assert status.load.kv_cache_usage == 0.75
    assert (status.load.prefix_hits, status.load.prefix_queries) == (1216, 2434)
    assert status.load.prefix_hit_rate == pytest.approx(0.4996, abs=1e-4)


async def test_a_slash_at_the_end_of_the_address_does_no_harm(vllm: Server) -> None:
    assert (await probe(f"{vllm.url}/", KEY)).url == vllm.url


async def test_a_server_that_is_still_loading_is_told_from_one_that_serves(vllm: Server) -> None:
    vllm.health = 503
    with pytest.raises(EngineUnavailable, match="still loading"):
        await probe(vllm.url, KEY)


async def test_a_missing_key_is_named_as_the_reason(vllm: Server) -> None:
    with pytest.raises(EngineUnavailable, match="VLLM_API_KEY"):
        await probe(vllm.url)


async def test_nobody_listening_is_unavailable_not_a_traceback() -> None:
    port = free_port()
    with pytest.raises(EngineUnavailable, match=f"127.0.0.1:{port}/health"):
        await probe(f"http://127.0.0.1:{port}", KEY)


@pytest.mark.parametrize("models", ["<html>", "{}", '{"data": [{}]}', '{"data": 1}', "[]"])
async def test_a_list_of_models_that_is_none_is_refused(vllm: Server, models: str) -> None:
    vllm.models = models
    with pytest.raises(EngineUnavailable, match="something else than a list of models"):
        await probe(vllm.url, KEY)


async def test_metrics_of_another_program_are_refused_by_the_missing_name(vllm: Server) -> None:
    vllm.metrics = "up 1\n"
    with pytest.raises(EngineUnavailable, match="no vllm:num_requests_running"):
        await probe(vllm.url, KEY)


def test_malformed_metrics_are_refused() -> None:
    with pytest.raises(EngineUnavailable, match="not Prometheus text"):
        read_load(EXPOSITION.replace("} 3.0", "} three"))


def test_before_the_first_request_there_is_no_hit_rate() -> None:
    cold = EXPOSITION.replace("1217.0", "0.0").replace("1.217e+03", "0.0").replace("1216.0", "0.0")
    assert read_load(cold).prefix_hit_rate is None

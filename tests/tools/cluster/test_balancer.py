"""HAProxy's configuration and its log."""

from __future__ import annotations

from pathlib import Path

from cluster.balancer import servers_asked, write_config


def test_the_configuration_names_every_server_for_both_protocols(tmp_path: Path) -> None:
    addresses = {"a": ("10.0.0.1:8000", "10.0.0.1:8001"), "b": ("10.0.0.2:8000", "10.0.0.2:8001")}
    config = tmp_path / "haproxy.cfg"
    write_config(config, addresses, ["/v2/models/m_ready/ready"], ("127.0.0.1:1", "127.0.0.1:2"))
    text = config.read_text()
    assert [line.split()[1:3] for line in text.splitlines() if line.startswith("    server")] == [
        ["a", "10.0.0.1:8000"],
        ["b", "10.0.0.2:8000"],
        ["a", "10.0.0.1:8001"],
        ["b", "10.0.0.2:8001"],
    ]
    assert "uri /v2/models/m_ready/ready" in text


def test_the_log_says_which_server_had_which_request() -> None:
    log = (
        "Server http/b is DOWN\nasked 7-0 of a: 200 --\nasked 7-1 of <NOSRV>: 503 SC\nasked - of b: 200 --\n"
    )
    assert servers_asked(log) == {"7-0": ("a", "--"), "7-1": ("<NOSRV>", "SC"), "-": ("b", "--")}

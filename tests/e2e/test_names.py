# SPDX-License-Identifier: MIT
"""Servers that DNS names: time to live, several addresses, SRV records, failing name servers."""

import pytest

from weirtest import conf
from weirtest.dns import A, SRV, Dns
from weirtest.load import Load
from weirtest.wait import wait_for
from weirtest.weir import run_weir


@pytest.fixture
def dns():
    made = Dns()
    yield made
    made.close()


def one_pool(dns, url, extra="", pool_options=""):
    return dns.option + conf.one_pool({"shop": (url, extra)}, pool_options)


def same_port(http_server, *hosts):
    """Servers at several addresses of this machine, on one port."""
    first = http_server(hosts[0], host=hosts[0])
    return [first] + [http_server(host, host=host, port=first.port) for host in hosts[1:]]


def served_by(weir, count=12):
    with weir.client() as client:
        return {client.get("/").text for _ in range(count)}


def test_address_follows_its_record(start_weir, http_server, dns):
    one, two = same_port(http_server, "127.0.0.1", "127.0.0.2")
    dns.records = {("shop.test", A): ["127.0.0.1"]}
    weir = start_weir(one_pool(dns, f"http://shop.test:{one.port}"))
    assert served_by(weir) == {one.name}, "it is resolved before the first request"
    dns.records = {("shop.test", A): ["127.0.0.2"]}
    wait_for(lambda: served_by(weir, 2) == {two.name}, "the new address")


def test_last_good_answer_stays(start_weir, http_server, dns):
    web = http_server("127.0.0.1", host="127.0.0.1")
    dns.records = {("shop.test", A): ["127.0.0.1"]}
    weir = start_weir(one_pool(dns, f"http://shop.test:{web.port}"))
    dns.fail = True
    weir.wait_log("cannot resolve shop.test")
    assert served_by(weir) == {web.name}


def test_all_addresses_are_servers(start_weir, http_server, dns):
    """They come and go with the record, and no request is lost."""
    webs = same_port(http_server, "127.0.0.1", "127.0.0.2", "127.0.0.3")
    names = [web.name for web in webs]
    dns.records = {("shop.test", A): names[:2]}
    weir = start_weir(one_pool(dns, f"http://shop.test:{webs[0].port}", "resolve = all"))
    assert served_by(weir) == set(names[:2])
    with Load(weir.client, threads=2) as load:
        load.wait_requests(20)
        dns.records = {("shop.test", A): names}
        wait_for(lambda: served_by(weir) == set(names), "the third server")
        dns.records = {("shop.test", A): names[2:]}
        weir.wait_log("shop.test stands for 1 servers")
        wait_for(lambda: served_by(weir) == set(names[2:]), "the others to go")
        dns.fail = True
        weir.wait_log("its last servers stay")
        assert served_by(weir) == set(names[2:])
        load.wait_requests(20)
    load.assert_clean()
    assert load.closed == 0


def test_srv_records(start_weir, http_server, dns):
    """Ports and weights are the records'; those of lower priority are backups."""
    webs = {name: http_server(name) for name in ("light", "heavy", "spare")}
    service = "_http._tcp.shop.test"
    dns.records = {(service, SRV): [(10, 1, webs["light"].port, "a.test"),
                                    (10, 3, webs["heavy"].port, "a.test"),
                                    (20, 1, webs["spare"].port, "a.test")],
                   ("a.test", A): ["127.0.0.1"]}
    weir = start_weir(one_pool(dns, f"http://{service}", "resolve = srv"), workers=1)
    with weir.client() as client:
        got = [client.get("/").text for _ in range(40)]
    assert (got.count("light"), got.count("heavy")) == (10, 30)
    webs["light"].stop()
    webs["heavy"].stop()
    assert served_by(weir, 3) == {"spare"}, "as long as the retry budget lasts"


def test_name_without_answer_at_the_start(start_weir, http_server, dns):
    """503 until there is one; others are served meanwhile."""
    web = http_server("127.0.0.1", host="127.0.0.1")
    weir = start_weir(one_pool(dns, f"http://shop.test:{web.port}", "resolve = all"))
    assert weir.get("/").status == 503
    dns.records = {("shop.test", A): ["127.0.0.1"]}
    wait_for(lambda: weir.get("/").status == 200, "the first answer")


def test_reload_knows_new_names_before_it_takes_over(start_weir, http_server, dns):
    one, two = same_port(http_server, "127.0.0.1", "127.0.0.2")
    dns.records = {("one.test", A): ["127.0.0.1"], ("two.test", A): ["127.0.0.2"]}
    weir = start_weir(one_pool(dns, f"http://one.test:{one.port}", "resolve = all"))
    with Load(weir.client, threads=2) as load:
        load.wait_requests(20)
        weir.reload(one_pool(dns, f"http://two.test:{one.port}", "resolve = all"))
        assert served_by(weir) == {two.name}
        load.wait_requests(20)
    load.assert_clean()
    assert dns.asked.count(("one.test", A)) >= 1
    before = len(dns.asked)
    wait_for(lambda: len(dns.asked) > before + 2, "more questions")
    assert ("one.test", A) not in dns.asked[before + 2:], "nobody asks for what is gone"


def test_resolve_wants_a_name(make_weir):
    weir = make_weir()
    weir.configure(conf.one_pool({"a": ("unix:/tmp/x", "resolve = all")}))

    done = run_weir("-t", "-c", weir.conf_path)
    assert done.returncode == 1 and "`resolve` is for host names" in done.stderr

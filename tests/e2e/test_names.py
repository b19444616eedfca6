# SPDX-License-Identifier: MIT
"""Servers that DNS names: time to live, several addresses, SRV records, failing name servers."""

import json
import socket

import pytest

from weirtest import admin, conf
from weirtest.backend import Holding
from weirtest.dns import A, AAAA, SERVFAIL, SRV
from weirtest.load import Load
from weirtest.names import one_pool, same_port, served_by
from weirtest.wait import DEADLINE, SANITIZED, wait_for
from weirtest.weir import run_weir, shim


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
        weir.wait_log(r"cannot resolve shop.test \(A\): .*; what is known of it stays")
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


@pytest.mark.parametrize("url", ["unix:/tmp/x", "http://127.0.0.1:81", "http://[::1]:81"])
@pytest.mark.parametrize("resolve", ["all", "srv"])
def test_resolve_wants_a_name(make_weir, url, resolve):
    weir = make_weir()
    weir.configure(conf.one_pool({"a": (url, f"resolve = {resolve}")}))

    done = run_weir("-t", "-c", weir.conf_path)
    assert done.returncode == 1 and "`resolve` is for host names" in done.stderr


@pytest.mark.parametrize("text, what", [
    ("fe80::53%lo", "is link-local, which cannot be asked"), ("[fe80::53]:53", "is link-local"),
    ("junk", "`junk` is no ADDRESS"), ("127.0.0.1:99999", "`127.0.0.1:99999` is no ADDRESS"),
    ("127.0.0.1:0", "`127.0.0.1:0` is no ADDRESS"), ("[::1]:0", r"`[::1]:0` is no ADDRESS"),
    ("127.0.0.1, ,::1", "`` is no ADDRESS"), ("ns.test:53", "`ns.test:53` is no ADDRESS"),
    ("[::1", "`[::1` is no ADDRESS"), ("unix:/tmp/dns", "`unix:/tmp/dns` is no ADDRESS")])
def test_nameservers_that_are_none_are_refused(make_weir, text, what):
    """By -t as by the start; what is right is taken by both."""
    weir = make_weir()
    weir.configure(f'nameservers = "{text}"\n' + conf.one_pool({"a": "http://127.0.0.1:1"}))
    done = run_weir("-t", "-c", weir.conf_path)
    assert done.returncode == 1 and what in done.stderr
    assert f"{weir.conf_path}:6: " in done.stderr
    done = run_weir("-c", weir.conf_path)
    assert done.returncode == 1 and what in done.stderr


@pytest.mark.parametrize("text", ["", "127.0.0.1", "127.0.0.1:5353, ::1", "[::1],[::1]:53"])
def test_nameservers_that_are_right(make_weir, text):
    weir = make_weir()
    weir.configure(f'nameservers = "{text}"\n' + conf.one_pool({"a": "http://127.0.0.1:1"}))
    assert run_weir("-t", "-c", weir.conf_path).returncode == 0
    weir.start()


def test_nameservers_change_by_reload(start_weir, http_server, dns, make_dns):
    """At once, for names that were known too; a refused reload leaves them."""
    one, two = same_port(http_server, "127.0.0.1", "127.0.0.2")
    other = make_dns({("shop.test", A): ["127.0.0.2"]})
    dns.records = {("shop.test", A): ["127.0.0.1"]}
    url = f"http://shop.test:{one.port}"
    weir = start_weir(one_pool(dns, url))
    assert served_by(weir) == {one.name}
    weir.reload(one_pool(other, url) + "nonsense", good=False)
    before = dns.count("shop.test", A)
    wait_for(lambda: dns.count("shop.test", A) > before + 1, "the old one to be asked on")
    assert other.asked == []
    weir.reload(one_pool(other, url))
    wait_for(lambda: served_by(weir, 2) == {two.name}, "the other's answer")


def test_an_id_that_an_address_would_have_is_refused(make_weir):
    """Two servers of one id would be one for stickiness, metrics and the API."""
    weir = make_weir()
    weir.configure(conf.one_pool({"a": ("http://shop.test:81", "resolve = all"),
                                  "a-127.0.0.1:81": "http://127.0.0.1:82",
                                  "b-127.0.0.1:81": "http://127.0.0.1:83",
                                  "a-127.0.0.1": "http://127.0.0.1:84"}))
    done = run_weir("-t", "-c", weir.conf_path)
    assert done.returncode == 1 and done.stderr.count("would have; give it another") == 1
    assert '"a-127.0.0.1:81" has the id that the server at 127.0.0.1:81 of "a"' in done.stderr


def test_names_are_probed_too(start_weir, http_server, dns):
    """`address` of a health block may be a name, of /etc/hosts or of DNS; it is followed as others are."""
    web, one = http_server("web"), http_server("one")
    dns.records = {("probe.test", A): ["127.0.0.1"]}
    health = 'health "http" {{ address = "{}:{}"  interval = 20ms  fast_interval = 20ms }}'
    weir = start_weir(dns.option + conf.one_pool({"web": web}, health.format("localhost", one.port)))
    wait_for(lambda: len(one.requests) > 2, "probes of localhost")
    assert served_by(weir, 2) == {"web"}
    seen = len(one.requests)
    weir.reload(dns.option + conf.one_pool({"web": web}, health.format("probe.test", one.port)))
    wait_for(lambda: len(one.requests) > seen + 2, "probes of probe.test")
    dns.records = {("probe.test", A): ["127.0.0.3"]}
    weir.wait_log("server web/web is down: .*refused")


def test_a_probed_name_without_address_takes_nobody_out(start_weir, http_server, dns):
    """That the prober cannot find its way says nothing of the servers."""
    web = http_server("web")
    health = f'health "http" {{ address = "probe.test:{web.port}"  interval = 20ms  path = "/probe" }}'
    weir = start_weir(dns.option + conf.one_pool({"web": web}, health))
    weir.wait_log("pool web: .*probe.test.* has no known address")
    assert served_by(weir, 2) == {"web"}
    dns.records = {("probe.test", A): ["127.0.0.1"]}
    wait_for(lambda: web.requests and any(r.target == "/probe" for r in web.requests), "a probe")


def test_a_probed_name_is_lost_while_many_wait(start_weir, http_server, dns):
    """More probes are due than may ask at once when their name loses its address: those that wait for their
    turn go on, too, once there is an address again."""
    web = http_server("web", host="127.0.0.2", keep=False)
    dns.records = {("probe.test", A): ["127.0.0.1"]}
    health = f'health "http" {{ address = "probe.test:{web.port}"  path = "/probe"  interval = 100ms  ' \
        'fast_interval = 100ms  timeout = 3s  fall = 100 }'
    with socket.create_server(("127.0.0.1", web.port), backlog=512) as silent:
        weir = start_weir(dns.option + conf.one_pool({f"s{i}": web for i in range(300)}, health),
                          files=600)
        silent.settimeout(DEADLINE)
        asking = [silent.accept()[0] for _ in range(70)]
        dns.records = {}
        weir.wait_log("pool web: .*probe.test.* has no known address")
        for connection in asking:
            connection.settimeout(DEADLINE)
            while connection.recv(4096):
                pass
            connection.close()
        dns.records = {("probe.test", A): ["127.0.0.2"]}
        wait_for(lambda: web.served > 600, "probes of all")


def test_who_comes_back_follows_the_name(start_weir, http_server, dns):
    """A server that is taken away and comes back while a request runs there: its last address serves until an
    answer says something else."""
    gate = Holding(body=b"127.0.0.1", path="/slow")
    one = http_server("127.0.0.1", gate, host="127.0.0.1")
    two = http_server("127.0.0.2", host="127.0.0.2", port=one.port)
    other = http_server("other")
    dns.records = {("shop.test", A): ["127.0.0.1"]}
    weir = start_weir(one_pool(dns, f"http://shop.test:{one.port}"))
    with weir.client() as slow:
        slow.request("GET", "/slow")
        one.wait_active(1)
        weir.reload(dns.option + conf.one_pool({"other": other}))
        assert served_by(weir) == {"other"}
        dns.fail = True
        weir.reload(one_pool(dns, f"http://shop.test:{one.port}"))
        assert served_by(weir) == {"127.0.0.1"}
        dns.fail = False
        dns.records = {("shop.test", A): ["127.0.0.2"]}
        wait_for(lambda: served_by(weir, 2) == {two.name}, "the new address")
        gate.release()
        assert slow.response().text == "127.0.0.1"


def test_one_question_for_all_who_have_the_name(start_weir, http_server, dns):
    web = http_server("127.0.0.1", host="127.0.0.1")
    dns.records = {("shop.test", A): ["127.0.0.1"]}
    dns.ttl, dns.negative = 3600, 3600
    url = f"http://shop.test:{web.port}"
    weir = start_weir(dns.option + conf.one_pool({f"s{i}": url for i in range(5)}) +
                      conf.pool("two", {"a": url, "b": (url, "resolve = all")}))
    assert served_by(weir) == {web.name}
    weir.reload()
    assert sorted(dns.asked) == [("shop.test", A), ("shop.test", AAAA)]


def test_a_server_without_address_is_no_candidate(start_weir, http_server, dns):
    """The others serve without a second try; it comes in as soon as it has one."""
    web = http_server("127.0.0.1", host="127.0.0.1")
    weir = start_weir(dns.option + conf.one_pool({"web": web, "gone": f"http://gone.test:{web.port}"}) +
                      admin.listener())
    for _ in range(12):
        assert weir.get("/").status == 200
    assert not any(entry["retries"] for entry in weir.access(12))
    shown = json.loads(admin.browser(weir).get("/api/v1/pools/web/servers/gone").text)["health"]
    assert (shown["status"], shown["reason"]) == ("down", "its host name has no known address")
    dns.records = {("gone.test", A): ["127.0.0.1"]}
    wait_for(lambda: weir.get("/") and "gone" in {entry["server"] for entry in weir.access()},
             "a request there")


# -- /etc --


@pytest.fixture
def etc(tmp_path):
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "hosts").write_text("127.0.0.1 localhost\n", encoding="ascii")
    (folder / "resolv.conf").write_text("", encoding="ascii")
    return folder


def start_with(make_weir, etc, text):
    weir = make_weir()
    weir.configure(text)
    return weir.start(environment={"WEIR_TEST_ETC": str(etc)}, preload=shim("etc"))


@pytest.mark.skipif(SANITIZED, reason="a sanitizer wants to be loaded first")
def test_etc_hosts(make_weir, http_server, dns, etc):
    """All its lines count, in both families, and DNS is not asked; it is read again."""
    webs = same_port(http_server, "127.0.0.1", "127.0.0.2", "::1")
    dns.records = {("shop.test", A): ["127.0.0.3"]}
    (etc / "hosts").write_text("127.0.0.1 shop.test\n127.0.0.2 web shop.test\n::1 shop.test\n",
                               encoding="ascii")
    weir = start_with(make_weir, etc,
                      one_pool(dns, f"http://shop.test:{webs[0].port}", "resolve = all"))
    assert served_by(weir) == {web.name for web in webs}
    (etc / "hosts").write_text("127.0.0.2 shop.test\n", encoding="ascii")
    wait_for(lambda: served_by(weir) == {webs[1].name}, "the others to go")
    assert dns.asked == []


@pytest.mark.skipif(SANITIZED, reason="a sanitizer wants to be loaded first")
def test_search_list(make_weir, http_server, dns, etc):
    """A short name is what the first domain has of it; one that cannot be asked is not passed over. Changes
    of /etc/resolv.conf are seen while it runs."""
    one, two = same_port(http_server, "127.0.0.1", "127.0.0.2")
    dns.records = {("shop.one.test", A): ["127.0.0.1"], ("shop.two.test", A): ["127.0.0.2"]}
    (etc / "resolv.conf").write_text("search none.test one.test two.test\n", encoding="ascii")
    weir = start_with(make_weir, etc, one_pool(dns, f"http://shop:{one.port}"))
    assert served_by(weir) == {one.name}
    dns.faults = {("shop.one.test", A): SERVFAIL}
    weir.wait_log(r"cannot resolve shop \(A\)")
    assert served_by(weir) == {one.name}
    dns.faults = {}
    (etc / "resolv.conf").write_text("search two.test one.test\n", encoding="ascii")
    wait_for(lambda: served_by(weir, 2) == {two.name}, "the other domain")
    assert "/etc/resolv.conf has changed and is read again" in weir.log()

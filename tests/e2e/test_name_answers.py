# SPDX-License-Identifier: MIT
"""What the answers of DNS mean for servers: how long they are good (RFC 1035 section 3.2.1, RFC 2181 section
5.2, RFC 2308 section 5), what takes servers away, and what does not."""

import json
import re

import pytest

from weirtest import admin, conf
from weirtest.dns import A, AAAA, CNAME, REFUSED, SERVFAIL, SILENCE, SRV
from weirtest.load import Load
from weirtest.names import one_pool, same_port, served_by
from weirtest.wait import wait_for

SERVICE = "_http._tcp.shop.test"

# What the log says when the time of those who wait for names is over.
WAITED = r"\d+ (?:host names have no address yet|names of servers have not been answered)"


def servers_of(weir, pool="web"):
    """Their ids, as the API has them."""
    shown = json.loads(admin.browser(weir).get(f"/api/v1/pools/{pool}").text)
    return [server["id"] for server in shown["servers"]]


def with_admin(text):
    return text + admin.listener()


# -- times to live --


def test_time_to_live_of_an_alias(start_weir, http_server, dns):
    """The address is good for an hour, the alias that leads to it for a second."""
    one, two = same_port(http_server, "127.0.0.1", "127.0.0.2")
    dns.ttl, dns.negative = 3600, 3600
    dns.ttls = {("shop.test", CNAME): 1}
    dns.records = {("shop.test", CNAME): ["one.test"], ("one.test", A): ["127.0.0.1"],
                   ("two.test", A): ["127.0.0.2"]}
    weir = start_weir(one_pool(dns, f"http://shop.test:{one.port}"))
    assert served_by(weir) == {one.name}
    dns.records[("shop.test", CNAME)] = ["two.test"]
    wait_for(lambda: served_by(weir, 2) == {two.name}, "the other alias")


@pytest.mark.parametrize("short", ["service", "target"])
def test_times_to_live_of_a_service(start_weir, http_server, dns, short):
    """Those of the SRV records and of their targets' addresses, each its own."""
    one, two = same_port(http_server, "127.0.0.1", "127.0.0.2")
    dns.ttl, dns.negative = 3600, 3600
    dns.ttls = {(SERVICE, SRV) if short == "service" else ("one.test", A): 1}
    dns.records = {(SERVICE, SRV): [(1, 1, one.port, "one.test")],
                   ("one.test", A): ["127.0.0.1"], ("two.test", A): ["127.0.0.2"]}
    weir = start_weir(one_pool(dns, f"http://{SERVICE}", "resolve = srv"))
    assert served_by(weir) == {one.name}
    if short == "service":
        dns.records[(SERVICE, SRV)] = [(1, 1, one.port, "two.test")]
    else:
        dns.records[("one.test", A)] = ["127.0.0.2"]
    wait_for(lambda: served_by(weir, 2) == {two.name}, "the other server")


def test_time_to_live_of_nothing(start_weir, http_server, dns):
    """0: not to be kept. It is asked for again as soon as questions may come, each second."""
    web = http_server("127.0.0.1", host="127.0.0.1")
    dns.negative = 3600
    dns.records = {("none.test", A): ["127.0.0.1"], ("five.test", A): ["127.0.0.1"]}
    dns.ttls = {("none.test", A): 0, ("five.test", A): 5}
    start_weir(dns.option + conf.one_pool({name: f"http://{name}.test:{web.port}"
                                           for name in ("none", "five")}))
    wait_for(lambda: dns.count("five.test", A) > 1, "five seconds")
    assert 4 <= dns.count("none.test", A) <= 7


def test_negative_answers_are_good_for_what_their_zone_says(start_weir, http_server, dns):
    web = http_server("127.0.0.1", host="127.0.0.1")
    dns.records = {("shop.test", A): ["127.0.0.1"], ("five.test", A): ["127.0.0.1"]}
    dns.ttls = {("five.test", A): 5}
    dns.ttl = 3600
    dns.negative = 1
    start_weir(dns.option + conf.one_pool({name: f"http://{name}.test:{web.port}"
                                           for name in ("shop", "five")}))
    wait_for(lambda: dns.count("five.test", A) > 1, "five seconds")
    assert dns.count("shop.test", AAAA) > 3 and dns.count("shop.test", A) == 1
    dns.negative = 3600
    before = dns.count("shop.test", AAAA)
    wait_for(lambda: dns.count("five.test", A) > 3, "ten seconds")
    assert dns.count("shop.test", AAAA) <= before + 2


def test_aliases_are_followed_further(start_weir, http_server, dns):
    """A nameserver that tells only where the name leads; a circle is a failure."""
    web = http_server("127.0.0.1", host="127.0.0.1")
    dns.chase = False
    dns.records = {("shop.test", CNAME): ["one.test"], ("one.test", CNAME): ["two.test"],
                   ("two.test", A): ["127.0.0.1"]}
    weir = start_weir(one_pool(dns, f"http://shop.test:{web.port}"))
    assert served_by(weir) == {web.name}
    dns.records[("one.test", CNAME)] = ["shop.test"]
    weir.wait_log(r"cannot resolve shop.test \(A\): its aliases do not end; what is known")
    dns.chase = True
    dns.records[("one.test", CNAME)] = ["shop.test"]
    weir.wait_log(r"cannot resolve shop.test \(A\).* do not end|go in a circle")
    assert served_by(weir) == {web.name}


# -- families --


@pytest.mark.parametrize("resolve", ["first", "all", "srv"])
@pytest.mark.parametrize("fault", [SILENCE, SERVFAIL, REFUSED])
def test_what_is_known_serves_at_once(start_weir, http_server, dns, resolve, fault):
    """One family's failure, or silence, delays nothing and takes nothing away."""
    web = http_server("127.0.0.1", host="127.0.0.1")
    dns.records = {("shop.test", A): ["127.0.0.1"], (SERVICE, SRV): [(1, 1, web.port, "shop.test")]}
    dns.faults = {("shop.test", AAAA): fault}
    url = f"http://{SERVICE}" if resolve == "srv" else f"http://shop.test:{web.port}"
    weir = start_weir(one_pool(dns, url, f"resolve = {resolve}"))
    assert served_by(weir) == {web.name}
    if fault == SILENCE:
        assert "(AAAA)" not in weir.log(), "nobody has waited for the silent one"
    asked = dns.count("shop.test", A)
    weir.wait_log(r"cannot resolve shop.test \(AAAA\)")
    wait_for(lambda: dns.count("shop.test", A) > asked + 1, "the other family to be asked on")
    assert served_by(weir) == {web.name}


def test_a_failing_family_keeps_its_servers(start_weir, http_server, dns):
    """And the other one's answers hold meanwhile: only an answer takes servers away."""
    four, six = same_port(http_server, "127.0.0.1", "::1")
    more = http_server("127.0.0.2", host="127.0.0.2", port=four.port)
    dns.records = {("shop.test", A): ["127.0.0.1", "127.0.0.2"], ("shop.test", AAAA): ["::1"]}
    weir = start_weir(one_pool(dns, f"http://shop.test:{four.port}", "resolve = all"))
    assert served_by(weir) == {four.name, six.name, more.name}
    dns.faults = {("shop.test", AAAA): SERVFAIL}
    weir.wait_log(r"cannot resolve shop.test \(AAAA\)")
    dns.records[("shop.test", A)] = ["127.0.0.1"]
    wait_for(lambda: served_by(weir) == {four.name, six.name}, "the third one to go")
    dns.faults = {("shop.test", A): REFUSED}
    del dns.records[("shop.test", AAAA)]
    wait_for(lambda: served_by(weir) == {four.name}, "IPv6 to go, by its answer")


def test_a_name_that_is_gone(start_weir, http_server, dns):
    """NXDOMAIN is an answer: nobody is there any more."""
    web = http_server("127.0.0.1", host="127.0.0.1")
    dns.records = {("shop.test", A): ["127.0.0.1"], ("all.test", A): ["127.0.0.1"]}
    weir = start_weir(dns.option + conf.listener() + conf.modules() +
                      conf.routes(one='"/one"', all='"/"') +
                      conf.pool("one", {"a": f"http://shop.test:{web.port}"}) +
                      conf.pool("all", {"a": (f"http://all.test:{web.port}", "resolve = all")}))
    assert weir.get("/").status == weir.get("/one").status == 200
    dns.records = {}
    wait_for(lambda: weir.get("/").status == 503, "its servers to go")
    wait_for(lambda: weir.get("/one").status == 503, "its address to go")
    dns.records = {("shop.test", A): ["127.0.0.1"], ("all.test", A): ["127.0.0.1"]}
    wait_for(lambda: weir.get("/").status == weir.get("/one").status == 200, "them again")


def test_ipv4_comes_first_whoever_answers_first(start_weir, http_server, dns):
    """A server at one address of several moves to IPv4 once when that was late, and stays there."""
    four, six = same_port(http_server, "127.0.0.1", "::1")
    dns.records = {("shop.test", A): ["127.0.0.1"], ("shop.test", AAAA): ["::1"]}
    dns.faults = {("shop.test", A): SILENCE}
    weir = start_weir(one_pool(dns, f"http://shop.test:{four.port}"))
    assert served_by(weir) == {six.name}
    dns.faults = {}
    wait_for(lambda: served_by(weir, 2) == {four.name}, "IPv4")


# -- targets --


def test_a_failing_target_keeps_its_servers(start_weir, http_server, dns):
    one, two = same_port(http_server, "127.0.0.1", "127.0.0.2")
    dns.records = {(SERVICE, SRV): [(1, 1, one.port, "one.test"), (1, 1, one.port, "two.test")],
                   ("one.test", A): ["127.0.0.1"], ("two.test", A): ["127.0.0.2"]}
    weir = start_weir(one_pool(dns, f"http://{SERVICE}", "resolve = srv"))
    assert served_by(weir) == {one.name, two.name}
    dns.faults = {("two.test", A): SERVFAIL, ("two.test", AAAA): SERVFAIL}
    weir.wait_log(r"cannot resolve two.test \(A\)")
    asked = dns.count(SERVICE, SRV)
    wait_for(lambda: dns.count(SERVICE, SRV) > asked + 1, "the service to be asked for again")
    assert served_by(weir) == {one.name, two.name}
    dns.records[(SERVICE, SRV)] = [(1, 1, one.port, "one.test")]
    wait_for(lambda: served_by(weir) == {one.name}, "the target to go, by the service's answer")


def test_a_silent_target_delays_nobody(start_weir, http_server, dns):
    web = http_server("127.0.0.1", host="127.0.0.1")
    dns.records = {(SERVICE, SRV): [(1, 1, web.port, "one.test"), (1, 1, web.port, "two.test")],
                   ("one.test", A): ["127.0.0.1"]}
    dns.faults = {("two.test", A): SILENCE, ("two.test", AAAA): SILENCE}
    weir = start_weir(one_pool(dns, f"http://{SERVICE}", "resolve = srv"))
    assert served_by(weir) == {web.name}
    assert "two.test" not in weir.log()


def test_a_service_that_moves_is_served_all_the_time(start_weir, http_server, dns):
    """Where it was is kept until it is known where it is."""
    one, two = same_port(http_server, "127.0.0.1", "127.0.0.2")
    dns.records = {(SERVICE, SRV): [(1, 1, one.port, "one.test")],
                   ("one.test", A): ["127.0.0.1"], ("two.test", A): ["127.0.0.2"]}
    dns.faults = {("two.test", A): SILENCE, ("two.test", AAAA): SERVFAIL}
    weir = start_weir(one_pool(dns, f"http://{SERVICE}", "resolve = srv"))
    with Load(weir.client, threads=2) as load:
        load.wait_requests(20)
        dns.records[(SERVICE, SRV)] = [(1, 1, one.port, "two.test")]
        weir.wait_log(r"cannot resolve two.test \(A\)")
        assert served_by(weir) == {one.name}
        dns.faults = {}
        wait_for(lambda: served_by(weir) == {two.name}, "the new place")
        load.wait_requests(20)
    load.assert_clean()


# -- one address, one server --


def test_an_address_is_one_server(start_weir, http_server, dns):
    """However often it is told: twice, as IPv4 in IPv6, by several SRV records; another port is another."""
    one, other = http_server("one", host="127.0.0.1"), http_server("other", host="127.0.0.1")
    dns.records = {("shop.test", A): ["127.0.0.1", "127.0.0.1"],
                   ("shop.test", AAAA): ["::ffff:127.0.0.1"],
                   ("a.test", A): ["127.0.0.1"], ("b.test", A): ["127.0.0.1"],
                   (SERVICE, SRV): [(1, 10, one.port, "a.test"), (1, 20, one.port, "b.test"),
                                    (9, 50, one.port, "a.test"), (1, 10, other.port, "a.test")]}
    weir = start_weir(with_admin(
        dns.option + conf.one_pool({"shop": (f"http://shop.test:{one.port}", "resolve = all")}) +
        'module "metrics_prometheus" {}\n' +
        conf.pool("srv", {"s": (f"http://{SERVICE}", "resolve = srv")})))
    assert servers_of(weir) == [f"shop-127.0.0.1:{one.port}"]
    assert servers_of(weir, "srv") == [f"s-127.0.0.1:{port}"
                                       for port in sorted((one.port, other.port))]
    shown = json.loads(admin.browser(weir).get("/api/v1/pools/srv").text)["servers"]
    assert {server["id"]: (server["weight"], server["backup"]) for server in shown} == {
        f"s-127.0.0.1:{one.port}": (30, False), f"s-127.0.0.1:{other.port}": (10, False)}


def test_the_same_of_many_addresses_are_servers(start_weir, dns):
    """More than a block may stand for: the first in order, whatever the order of the answer, told. The answer
    is larger than UDP has room for."""
    many = [f"127.0.{i // 200 + 1}.{i % 200 + 1}" for i in range(300)]
    dns.records = {("shop.test", A): many[::-1]}
    weir = start_weir(with_admin(one_pool(dns, "http://shop.test:81", "resolve = all")))
    weir.wait_log("shop.test has 300 addresses; the first 256 in order")
    assert dns.over_tcp > 0
    expected = [f"shop-{address}:81" for address in many[:256]]
    assert servers_of(weir) == expected
    names = json.loads(admin.browser(weir).get("/api/v1/pools/web").text)["names"]
    assert names == [{"id": "shop", "host": "shop.test", "resolve": "all", "servers": 256,
                      "left_out": 44}]
    generation = weir.log().count("stands for")
    for turn in range(1, 4):
        dns.records = {("shop.test", A): many[turn * 50:] + many[:turn * 50]}
        asked = dns.count("shop.test", A)
        wait_for(lambda: dns.count("shop.test", A) > asked + 1, "another answer")
        assert servers_of(weir) == expected
    assert weir.log().count("stands for") == generation
    assert weir.log().count("are left out") == 1
    dns.records = {("shop.test", A): many[:256]}
    weir.wait_log("no address is left out any more")


# -- a long way off --


def test_a_name_that_never_resolves_delays_no_change(start_weir, http_server, dns):
    """It was waited for once; a reload asks again without waiting."""
    web = http_server("web")
    dns.records = {("new.test", A): ["127.0.0.1"]}
    dns.faults = {("gone.test", A): SILENCE, ("gone.test", AAAA): SILENCE}
    servers = {"web": web, "gone": "http://gone.test:81"}
    weir = start_weir(dns.option + conf.one_pool(servers))
    weir.wait_log("1 host names have no address yet")
    weir.wait_log(r"cannot resolve gone.test \(AAAA\)")
    asked = dns.count("gone.test", A)
    servers["new"] = f"http://new.test:{web.port}"
    log = weir.reload(dns.option + conf.one_pool(servers))
    assert "have no address yet" not in log
    wait_for(lambda: dns.count("gone.test", A) > asked, "the question once more")


def test_a_silent_name_is_waited_for_once(start_weir, dns):
    """Whoever has it: a server, a block of many, a name that is probed; in the file or by a change. Its
    questions are still open when others come."""
    silent = ("gone.test", "new.test")
    dns.faults = {(name, kind): SILENCE for name in silent for kind in (A, AAAA)}
    text = with_admin(dns.option + conf.one_pool({"web": "http://127.0.0.1:81"}) +
                      conf.pool("gone", {"gone": "http://gone.test:81"}) +
                      conf.pool("probed", {"a": "http://127.0.0.1:81"},
                                'health "http" { address = "gone.test:81" }'))
    weir = start_weir(text)
    assert len(re.findall(WAITED, weir.log())) == 1
    browser = admin.browser(weir)
    mark = len(weir.log())
    assert browser.post("/api/v1/pools/web/servers", {"url": "http://127.0.0.1:82"}).status == 201
    text += conf.pool("more", {"one": "http://gone.test:82",
                               "all": ("http://gone.test:83", "resolve = all")})
    assert not re.search(WAITED, weir.log()[mark:] + weir.reload(text) + weir.reload())
    mark = len(weir.log())
    assert browser.post("/api/v1/pools/web/servers", {"url": "http://new.test:81"}).status == 201
    assert len(re.findall(WAITED, weir.log()[mark:])) == 1, "nobody has waited for this one yet"
    assert not re.search(WAITED, weir.reload())


def test_all_names_are_waited_for_together(start_weir, dns):
    """Those of blocks that stand for many first, since servers are made of them, but the others' time is the
    same."""
    silent = ("all.test", "gone.test", "probed.test")
    dns.faults = {(name, kind): SILENCE for name in silent for kind in (A, AAAA)}
    weir = start_weir(dns.option + conf.one_pool(
        {"all": ("http://all.test:81", "resolve = all"), "gone": "http://gone.test:81"},
        'health "http" { address = "probed.test:81" }'))
    assert re.findall(WAITED, weir.log()) == ["3 names of servers have not been answered"]


def test_two_thousand_names(start_weir, dns):
    """No more is asked at once than there is room for the answers: none is lost."""
    count = 2000
    dns.records = {(f"s{i}.test", A): ["127.0.0.1"] for i in range(count)}
    dns.ttl = dns.negative = 3600
    weir = start_weir(dns.option + conf.one_pool({f"s{i}": f"http://s{i}.test:9"
                                                  for i in range(count)}))
    wait_for(lambda: weir.log().count(" is 127.0.0.1:9") == count, "all addresses")
    assert "cannot resolve" not in weir.log()
    assert len(dns.asked) < 3 * count

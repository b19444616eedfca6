# SPDX-License-Identifier: MIT
"""Swaps of modules' copies, and what ends their trials, that come to nothing: all is as it was before."""

import resource
import shutil

from weirtest.wait import wait_for

from test_swap import (  # pylint: disable=unused-import
    COPIES, NAME, begin_, call, folder, journal, restart, show, step, swap, wait_state)


def kept(weir):
    """Files of copies beside the state."""
    return sorted(path.name for path in (weir.state / "modules").glob("*"))


def picks(weir):
    pool, = show(weir)["swap"]["pools"]
    return pool["old"]["picks"], pool["new"]["picks"]


def test_nothing_is_left_of_it(begin):
    weir = begin()
    for body, status in (({"file": "trial_two.so", "canary": "5"}, 422),
                         ({"file": "trial_create.so"}, 503),
                         ({"file": "trial_last.so", "for": "soon"}, 422)):
        assert call(weir, "POST", f"/modules/{NAME}/swap", body)[0] == status
    assert kept(weir) == [], "no copy is kept that nobody goes back to"
    swap(weir, file="trial_two.so")
    both = kept(weir)
    assert len(both) == 2
    assert call(weir, "POST", f"/modules/{NAME}/swap", {"file": "trial_create.so"})[0] == 503
    assert kept(weir) == both
    assert step(weir, "rollback")["version"] == "1.0"


def test_a_rollback_that_cannot_be_kept(begin):
    """The trial goes on as it was: its copy must not be promoted later for doing nothing."""
    weir = begin(workers=1)
    swap(weir, file="trial_two.so", canary="50%", **{"for": "1h"})
    sizes = resource.prlimit(weir.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(weir.pid, resource.RLIMIT_FSIZE, (4096, sizes[1]))
    status, answer = call(weir, "POST", f"/modules/{NAME}/rollback")
    assert status == 503 and "free some space" in answer["detail"]
    resource.prlimit(weir.pid, resource.RLIMIT_FSIZE, sizes)
    assert show(weir)["swap"]["state"] == "trying"
    before = picks(weir)
    for _ in range(10):
        assert weir.get("/").status == 200
    assert picks(weir) == (before[0] + 5, before[1] + 5)
    wait_for(lambda: call(weir, "POST", f"/modules/{NAME}/rollback")[0] == 200, "the rollback")
    assert journal(weir)[-1] == ("modules.rollback", "rolled_back")


def test_a_promotion_that_cannot_be_kept(begin):
    """Nothing speaks against the copy but a full disk: it is promoted once there is room."""
    weir = begin(workers=1)
    swap(weir, file="trial_two.so", canary="50%", **{"for": "1s"})
    sizes = resource.prlimit(weir.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(weir.pid, resource.RLIMIT_FSIZE, (4096, sizes[1]))
    wait_for(lambda: weir.log().count("a change was not kept") > 1, "a second attempt")
    assert show(weir)["swap"]["state"] == "trying"
    before = picks(weir)
    for _ in range(10):
        assert weir.get("/").status == 200
    assert picks(weir) == (before[0] + 5, before[1] + 5), "it goes on"
    resource.prlimit(weir.pid, resource.RLIMIT_FSIZE, sizes)
    assert wait_state(weir, "promoted")["version"] == "2.0"
    assert journal(weir)[-1] == ("modules.promote", "promoted")


def test_a_balancer_of_no_pool_is_not_tried(begin, folder):  # pylint: disable=redefined-outer-name
    """Its trial would show nothing, and promote whatever it is."""
    weir = begin()
    shutil.copy(COPIES / "balance_learns.so", folder)
    shutil.copy(COPIES / "balance_learns_2.so", folder)
    weir.conf_path.write_text('module "balance_learns" {}\n' + weir.conf_path.read_text())
    weir.reload()
    status, answer = call(weir, "POST", "/modules/balance_learns/swap",
                          {"file": "balance_learns_2.so", "canary": "5%"})
    assert status == 422 and "balances no pool" in answer["detail"], answer
    assert swap(weir, "balance_learns", file="balance_learns_2.so")["swap"]["state"] == "promoted"


def test_a_promotion_that_is_refused(begin):
    """The copy does not agree with its options again: it goes back once, and not for ever to be promoted."""
    weir = begin()
    swap(weir, file="trial_once.so", canary="50%", **{"for": "1s"})
    back = wait_state(weir, "rolled_back")
    assert back["version"] == "1.0" and "not again" in back["swap"]["reason"], back["swap"]
    assert weir.log().count("not again") == 2, "the log has the refusal, and the step"
    assert weir.get("/").status == 200


def test_a_kept_copy_that_is_damaged(begin):
    """A rollback says so, and the next swap keeps it anew."""
    weir = begin()
    swap(weir, file="trial_two.so")
    for path in (weir.state / "modules").iterdir():
        path.write_bytes(b"no copy")
    assert call(weir, "POST", f"/modules/{NAME}/rollback")[0] == 409
    swap(weir)
    assert step(weir, "rollback")["version"] == "2.0"
    restart(weir)
    assert show(weir)["version"] == "2.0"
    last = swap(weir, file="trial_last.so")["version"]
    for path in (weir.state / "modules").iterdir():
        path.write_bytes(b"no copy")
    status, answer = call(weir, "POST", f"/modules/{NAME}/rollback")
    assert status == 409 and "not a shared object" in answer["detail"], answer
    assert show(weir)["version"] == last

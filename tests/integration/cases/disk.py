# SPDX-License-Identifier: BSD-3-Clause
"""A ledger on a disk that goes wrong: the site goes on by `when_unrecorded`, alarms, mends itself, and forgets nothing."""
import contextlib
import os
import shutil
import subprocess

from capture import Capture
from cases import check, same, test, until
from cases.ledger import LEASE, chatter, plan_of
from lab import SERVICE, Skipped, run

MIB = 1 << 20
IMAGE_MIB = 8


class FlakyDisk:
    """An ext2 file system on a loop device whose own disk can run out: writes go to the cache, and fdatasync(2) tells that they failed."""

    def __init__(self, lab):
        self.lab = lab
        self.below = os.path.join(lab.dir, "below")
        self.path = os.path.join(lab.dir, "flaky")
        self.image = os.path.join(self.below, "image")
        self.saved = os.path.join(lab.dir, "saved")
        self.device = None
        os.makedirs(self.below)
        os.makedirs(self.path)
        run("mount", "-t", "tmpfs", "-o", "size=%dm" % (IMAGE_MIB + 4), "none", self.below)
        lab.closers.append(self.close)
        with open(self.image, "wb") as f:
            f.truncate(IMAGE_MIB * MIB)
        run("mkfs.ext2", "-q", "-F", self.image)
        done = run("losetup", "--find", "--show", self.image, may_fail=True)
        if done.returncode != 0:
            raise Skipped("no loop device: " + done.stderr.strip())
        self.device = done.stdout.strip()
        run("mount", "-t", "ext2", self.device, self.path)

    def fail(self):
        """Every write that has to reach the device fails from now on; what is cached can still be read."""
        run("sync", "--file-system", self.path)
        shutil.copyfile(self.image, self.saved)
        run("fallocate", "--punch-hole", "--offset", "0", "--length", str(IMAGE_MIB * MIB), self.image)
        with open(os.path.join(self.below, "hog"), "wb", buffering=0) as hog, contextlib.suppress(OSError):
            while True:
                hog.write(bytes(4096))

    def heal(self):
        os.unlink(os.path.join(self.below, "hog"))
        with open(self.saved, "rb") as saved, open(self.image, "r+b") as image:
            image.write(saved.read())

    def close(self):
        for command in (["umount", "-l", self.path], ["losetup", "--detach", self.device] if self.device else ["true"],
                        ["umount", "-l", self.below]):
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def site(bench, **plan):
    """A weir whose state is on `state`, its socket elsewhere; not started."""
    lab = bench.lab()
    config = lab.config(plans={"sim1": dict({"quota": "1GB", "when_spent": "block"}, **plan)},
                        classes={"servicing": {"protocol": "udp", "port": 9, "reserve": "10MB"}})
    config["ports"]["wan0"]["plan"] = "sim1"
    weir = lab.weir(config, start=False)
    weir.socket = os.path.join(weir.dir, "weir.sock")
    config["runtime"]["socket"] = weir.socket
    return lab, weir, config


def state_in(weir, config, path):
    config["runtime"]["state_dir"] = path
    weir.write(config)


def ping(lab):
    return lab.ping("lan", SERVICE, "-W", "1", may_fail=True).returncode == 0


def attest(lab):
    s, server = lab.udp("lan"), lab.udp("car", (SERVICE, 9))
    s.sendto(b"attest", (SERVICE, 9))
    same(server.recvfrom(100)[0], b"attest", "what the server got")
    server.close()


def break_and_heal(lab, weir, fail, heal, customers_pass):
    """Fails, looks at what goes on and what is told, heals, and compares the books with the carrier's."""
    carrier = Capture(lab, "car", "car0")
    check(ping(lab), "nothing passes on a sound disk")
    fail()
    with chatter(lab, 4000):
        until(lambda: plan_of(weir)["unrecorded"], "the ledger is told to be broken")
    same(weir.show("status")["ledger"] == "sound", False, "the ledger's state in show status")
    check("ledger.broken" in weir.log(), "not in the log: " + weir.tail())
    same(ping(lab), customers_pass, "a customer's ping passes")
    attest(lab)
    heal()
    until(lambda: not plan_of(weir)["unrecorded"], "it is mended", patience_s=120)
    check("ledger.mended" in weir.log(), "its mending is not in the log: " + weir.tail())
    same(weir.show("status")["ledger"], "sound", "the ledger in show status")
    until(lambda: ping(lab), "a customer's ping passes again")
    with chatter(lab, 400):
        check(ping(lab), "nothing passes under load")
    weir.settled_ports()
    check_books(lab, weir, carrier)


def check_books(lab, weir, carrier):
    """An orderly restart finds every octet; a kill gives up less than a lease."""
    weir.stop()
    carrier.stop()
    sent = carrier.received[0] + carrier.sent[0]
    weir.start()
    same(plan_of(weir)["used_octets"], sent, "octets used, by the disk that failed meanwhile")
    same(plan_of(weir)["assumed_spent"], False, "the plan is taken as spent")
    weir.kill()
    weir.start()
    used = plan_of(weir)["used_octets"]
    check(sent <= used <= sent + LEASE, "%d octets used after a kill, %d sent" % (used, sent))
    check(ping(lab), "nothing passes after it")


@test
def disk_with_errors(bench):
    """The disk below the file system fails every write: reserve classes go on, and when it is well again nothing was forgotten."""
    lab, weir, config = site(bench)
    disk = FlakyDisk(lab)
    state_in(weir, config, os.path.join(disk.path, "state"))
    weir.start()
    break_and_heal(lab, weir, disk.fail, disk.heal, customers_pass=False)
    weir.stop()


@test
def disk_with_errors_forwarding(bench):
    """The same where the plan says that all goes on unrecorded: what went meanwhile is in the books afterwards."""
    lab, weir, config = site(bench, when_unrecorded="forward")
    disk = FlakyDisk(lab)
    state_in(weir, config, os.path.join(disk.path, "state"))
    weir.start()
    break_and_heal(lab, weir, disk.fail, disk.heal, customers_pass=True)
    weir.stop()


@test
def state_directory_gone(bench):
    """The state directory is removed, and nothing can take its place for a while: weir makes it anew as soon as it can."""
    lab, weir, config = site(bench)
    parent = os.path.join(weir.dir, "var")
    state = os.path.join(parent, "state")
    os.makedirs(parent)
    state_in(weir, config, state)
    weir.start()

    def fail():
        shutil.rmtree(state)
        with open(state, "w", encoding="ascii"):
            pass

    break_and_heal(lab, weir, fail, lambda: os.unlink(state), customers_pass=False)
    weir.stop()

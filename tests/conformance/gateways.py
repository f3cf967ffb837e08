# SPDX-License-Identifier: BSD-3-Clause
"""The gateways that are tried: weir, and the kernel that it runs on."""
import os
import re

import lab as labs

LENGTH = "/24"


class NotApplicable(Exception):
    """The requirement speaks of something that this gateway does not have."""


class Gateway:
    """Between its site's interfaces lan0, lan1 and wan0 in the namespace gw. `knobs`: those it has; any other one makes a
    check n/a."""

    knobs = {"uplink_mtu", "lan_mtu", "conflict"}

    def __init__(self, site):
        self.site, self.lab = site, site.lab
        for knob in sorted(site.knobs.keys() - self.knobs):
            raise NotApplicable("has no setting for it (%s)" % knob)


class Weir(Gateway):
    """`weir run` with its defaults."""

    name = "weir"
    knobs = Gateway.knobs | {"filtering", "unsolicited_syn", "per_device", "new_per_second", "capacity", "ports", "lan_to_lan",
                             "errors_per_second", "untranslated"}
    places = {"filtering": ("nat", "filtering"), "unsolicited_syn": ("nat", "unsolicited_syn"), "ports": ("nat", "ports"),
              "per_device": ("flows", "per_device"), "new_per_second": ("flows", "new_per_second"),
              "capacity": ("flows", "capacity"), "lan_to_lan": ("policy", "lan_to_lan"),
              "errors_per_second": ("icmp", "errors_per_second")}
    weir = None

    @staticmethod
    def version(options):
        return labs.run(options.weir, "--version").stdout.strip()

    def start(self):
        config = self.lab.config()
        uplink = config["ports"]["wan0"]
        uplink["address"], uplink["gateway"] = self.site.external + LENGTH, self.site.next_hop
        for knob, value in self.site.knobs.items():
            if knob in self.places:
                section, key = self.places[knob]
                config.setdefault(section, {})[key] = value
        if "untranslated" in self.site.knobs:
            config["classes"] = {"routed": {"remote": self.site.knobs["untranslated"], "translate": False}}
        self.weir = self.lab.weir(config)

    def stop(self):
        """A weir that ends by itself, or not cleanly, is no gateway."""
        if self.weir and self.weir.process:
            self.weir.stop()

    def seconds_left(self, protocol, address, port, remote):
        for flow in self.weir.show("flows"):
            if ((flow["protocol"], flow["internal_address"], flow["internal_port"], flow["remote_address"])
                    == (protocol, address, port, remote)):
                return (flow["timeout_us"] - flow["idle_us"]) / 1e6
        return 0


class Kernel(Gateway):
    """ip_forward and nftables' masquerade, all else as the kernel has it. Its veths compute checksums before they hand over,
    as a card on a wire does."""

    name = "kernel"
    knobs = Gateway.knobs | {"lan_to_lan", "unsolicited_syn", "untranslated"}  # it routes between LANs, and tells strangers
    rules = """
table ip nat {
	chain postrouting {
		type nat hook postrouting priority srcnat
		%s
		oifname "wan0" masquerade
	}
}
"""

    @staticmethod
    def version(options):
        return "Linux " + os.uname().release.split("-")[0]

    def start(self):
        for device, address in (("lan0", labs.GATEWAY), ("lan1", labs.LAN2_NET + "1"), ("wan0", self.site.external)):
            self.lab.exec("gw", "ethtool", "-K", device, "tx", "off")
            self.lab.ip("gw", "address", "add", address + LENGTH, "dev", device)
        self.lab.ip("gw", "route", "add", "default", "via", self.site.next_hop, "dev", "wan0", "onlink")
        rules = os.path.join(self.lab.dir, "masquerade.nft")
        with open(rules, "w", encoding="utf-8") as f:
            untranslated = self.site.knobs.get("untranslated")
            f.write(self.rules % ("ip daddr %s accept" % untranslated if untranslated else ""))
        self.lab.exec("gw", "nft", "-f", rules)
        self.lab.sysctl("gw", net__ipv4__ip_forward=1)

    def stop(self):
        """Its namespace goes, and with it all it remembers."""

    def seconds_left(self, protocol, address, port, remote):
        name = "id" if protocol == "icmp" else "sport"
        for line in self.lab.exec("gw", "cat", "/proc/net/nf_conntrack").stdout.splitlines():
            words = line.split()
            if (words[2] == protocol and "src=%s dst=%s " % (address, remote) in line
                    and re.search(r"\b%s=%d\b" % (name, port), line)):
                return int(words[4])
        return 0


GATEWAYS = {kind.name: kind for kind in (Weir, Kernel)}

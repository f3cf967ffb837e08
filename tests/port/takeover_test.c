/* SPDX-License-Identifier: BSD-3-Clause */
#include "netns.h"

#include <weir/port/takeover.h>

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <nftables/libnftables.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const state_dir = NETNS_STATE_DIR;

/* A kernel without the egress hook, as nftables meets it. */
static bool is_without_egress;

int nft_run_cmd_from_buffer(struct nft_ctx *nft, const char *commands)
{
	int (*real)(struct nft_ctx *, const char *);
	void *symbol = dlsym(RTLD_NEXT, "nft_run_cmd_from_buffer");

	if (is_without_egress && strstr(commands, "hook egress") != NULL)
		return -1;
	memcpy(&real, &symbol, sizeof(real));
	return real(nft, commands);
}

/* v0 here, v1 in the far namespace, which asks. */
static pid_t enter_with_far(void)
{
	pid_t far;

	netns_enter();
	far = netns_create_far();
	netns_run("ip link add v0 type veth peer name v1 && ip link set v1 netns %d && ip link set "
		  "v0 up"
		  " && ip addr add 10.9.0.1/24 dev v0",
		(int)far);
	netns_run_far(far, "ip addr add 10.9.0.2/24 dev v1 && ip link set v1 up");
	return far;
}

static void enter_with_veth(void)
{
	netns_enter();
	netns_run(
		"ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
}

static struct takeover *begin(const char *device)
{
	char error[PORT_ERROR_MAX] = "";
	struct takeover *t = NULL;

	cr_assert_eq(takeover_begin(device, state_dir, &t, error), 0, "%s", error);
	return t;
}

static bool is_on(const char *device, const char *offload)
{
	return netns_try("ethtool -k %s | grep -q '%s: on'", device, offload) == 0;
}

static bool has_table(const char *name)
{
	return netns_try("nft list table netdev %s", name) == 0;
}

/* True as soon as an answer comes; a slow machine has `seconds` for it. */
static bool can_ping(pid_t far, int seconds)
{
	return netns_try(
		       "nsenter --net=/proc/%d/ns/net ping -c 1 -w %d 10.9.0.1", (int)far, seconds)
	       == 0;
}

Test(port_takeover, keeps_the_kernel_silent_until_it_ends)
{
	pid_t far = enter_with_far();
	struct takeover *t;

	netns_run("ip addr show v0 > /run/before");
	cr_assert(can_ping(far, 20),
		"the kernel does not answer without a takeover: this proves nothing");
	t = begin("v0");
	cr_assert_not(can_ping(far, 1), "the kernel answers");
	netns_run_far(far, "ip neigh flush all");
	cr_assert_not(can_ping(far, 1), "the kernel answers ARP");
	netns_run("ip addr show v0 | cmp - /run/before");
	takeover_end(t);
	cr_assert(can_ping(far, 20), "the kernel was not given the interface back");
	cr_assert_not(has_table("weir_v0"));
	(void)kill(far, SIGKILL);
}

/* True when a frame of this type left by `device`. */
static bool can_send(const char *device, uint16_t type, uint32_t mark)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
		.sll_protocol = htons(type),
		.sll_ifindex = (int)if_nametoindex(device)};
	uint8_t frame[60] = {2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1;
	ssize_t sent;

	cr_assert_geq(fd, 0);
	frame[12] = (uint8_t)(type >> 8);
	frame[13] = (uint8_t)type;
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	cr_assert_eq(setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)), 0);
	sent = sendto(fd, frame, sizeof(frame), 0, (const struct sockaddr *)&to, sizeof(to));
	(void)close(fd);
	return sent == (ssize_t)sizeof(frame);
}

Test(port_takeover, lets_nobody_send_but_weir_and_the_link_itself)
{
	static const struct {
		uint16_t type;
		uint32_t mark;
		bool leaves;
	} frames[] = {
		{0x0800, 0, false}, {0x0806, 0, false}, {0x86dd, 0, false}, {0x0800, 1, false},
		{0x0800, TAKEOVER_MARK, true}, {0x86dd, TAKEOVER_MARK, true},
		{0x888e, 0, true}, /* 802.1X */
	};
	struct takeover *t;

	enter_with_veth();
	cr_assert(can_send("v0", 0x0800, 0), "nobody can send: this proves nothing");
	t = begin("v0");
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		cr_expect_eq(can_send("v0", frames[i].type, frames[i].mark), frames[i].leaves,
			"type %04x, mark %#x", frames[i].type, frames[i].mark);
	cr_expect(can_send("v1", 0x0800, 0), "another interface is held too");
	takeover_end(t);
	cr_assert(can_send("v0", 0x0800, 0), "the kernel was not given the interface back");
}

Test(port_takeover, takes_over_without_an_egress_hook_what_it_can)
{
	pid_t far = enter_with_far();
	struct takeover *t;

	is_without_egress = true;
	t = begin("v0");
	cr_assert(can_send("v0", 0x0800, 0), "the hook is there: this proves nothing");
	cr_assert_not(can_ping(far, 1), "the kernel answers");
	takeover_end(t);
	cr_assert_not(has_table("weir_v0"));
	(void)kill(far, SIGKILL);
}

Test(port_takeover, switches_offloads_off_and_on_again)
{
	struct takeover *t;

	enter_with_veth();
	netns_run("ethtool -K v0 gro on rx-udp-gro-forwarding on");
	t = begin("v0");
	cr_assert_not(is_on("v0", "generic-receive-offload"));
	cr_assert_not(is_on("v0", "rx-udp-gro-forwarding"));
	takeover_end(t);
	cr_assert(is_on("v0", "generic-receive-offload"));
	cr_assert(is_on("v0", "rx-udp-gro-forwarding"));
	cr_assert_not(is_on("v0", "rx-gro-list"), "what was off must stay off");
	cr_assert_neq(netns_try("test -e %s/v0.offloads", state_dir), 0);
}

/* A run that ends in the middle of its work. */
static void crash_with(const char *device)
{
	pid_t child = fork();

	if (child == 0) {
		(void)begin(device);
		(void)raise(SIGKILL);
	}
	cr_assert_eq(netns_wait(child), 128 + SIGKILL);
}

Test(port_takeover, recovers_what_a_crashed_run_left)
{
	enter_with_veth();
	netns_run("ethtool -K v0 gro on");
	crash_with("v0");
	cr_assert_not(has_table("weir_v0"), "an owned table goes with its process");
	cr_assert(can_send("v0", 0x0800, 0));
	cr_assert_not(is_on("v0", "generic-receive-offload"));
	/* As a kernel without owned tables would leave it. */
	netns_run("nft add table netdev weir_v0");
	cr_assert_eq(takeover_recover(state_dir), 1);
	cr_assert(is_on("v0", "generic-receive-offload"));
	cr_assert_not(has_table("weir_v0"));
	cr_assert_eq(takeover_recover(state_dir), 0);
}

Test(port_takeover, begins_after_a_crash_with_the_settings_of_before_the_crash)
{
	enter_with_veth();
	netns_run("ethtool -K v0 gro on");
	crash_with("v0");
	takeover_end(begin("v0"));
	cr_assert(is_on("v0", "generic-receive-offload"));
}

Test(port_takeover, leaves_living_holders_alone)
{
	struct takeover *t, *other, *second = NULL;
	char error[PORT_ERROR_MAX] = "";

	enter_with_veth();
	netns_run("ethtool -K v0 gro on; ethtool -K v1 gro on");
	t = begin("v0");
	other = begin("v1");
	cr_assert_eq(takeover_recover(state_dir), 0);
	cr_assert_not(is_on("v0", "generic-receive-offload"));
	cr_assert_eq(takeover_begin("v0", state_dir, &second, error), -EBUSY);
	cr_assert_not_null(strstr(error, "another weir"), "%s", error);
	cr_assert_null(second);
	takeover_end(other);
	cr_assert(has_table("weir_v0"), "the end of one must not touch the other");
	cr_assert_not(is_on("v0", "generic-receive-offload"));
	cr_assert(is_on("v1", "generic-receive-offload"));
	takeover_end(t);
}

Test(port_takeover, renews_on_an_interface_made_anew_and_ends_without_one)
{
	struct takeover *t;
	char error[PORT_ERROR_MAX] = "";

	enter_with_veth();
	t = begin("v0");
	cr_assert_eq(takeover_renew(t, error), 0, "%s", error);
	netns_run("ip link del v0");
	cr_assert_eq(takeover_renew(t, error), -ENODEV);
	netns_run("ip link add v0 type veth peer name v1 && ethtool -K v0 gro on");
	cr_assert_eq(takeover_renew(t, error), 0, "%s", error);
	cr_assert_not(is_on("v0", "generic-receive-offload"));
	netns_run("nft list table netdev weir_v0 | grep -q 'device \"v0\"'");
	cr_assert_not(can_send("v0", 0x0800, 0));
	netns_run("ip link del v0");
	takeover_end(t);
	cr_assert_not(has_table("weir_v0"));
	takeover_end(NULL);
}

Test(port_takeover, takes_any_name_that_linux_gives_and_refuses_the_rest)
{
	static const char *const good[] = {"br-lan", "eth0.100", "usb@0+x_1"};
	static const char *const bad[] = {"", "a/b", "a b", "a\"b", "sixteencharacter", ".."};
	char error[PORT_ERROR_MAX] = "";
	struct takeover *t = NULL;

	enter_with_veth();
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		netns_run("ip link set v1 down && ip link set v1 name %s", good[i]);
		takeover_end(begin(good[i]));
		netns_run("ip link set %s name v1", good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(
			takeover_begin(bad[i], state_dir, &t, error), -EINVAL, "\"%s\"", bad[i]);
	cr_assert_eq(takeover_begin("absent", state_dir, &t, error), -ENODEV);
	cr_assert_neq(netns_try("test -e %s/absent.offloads", state_dir), 0);
}

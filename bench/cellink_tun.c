/* SPDX-License-Identifier: BSD-3-Clause */
#include "cellink_tun.h"

#include "cellink_capacity.h"

#include <weir/base/addr.h>

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* Holds 80 ms at 600 Mbit/s of large packets: enough for a reader that the scheduler kept waiting. */
#define TUN_QUEUE_PACKETS 4096u
#define REQUEST_BYTES     1024
#define ANSWER_BYTES      16384 /* a link's attributes are about 2 kB, more with many addresses */
#define NETNS_PATH_MAX    512

/* One rtnetlink request under construction. */
struct request {
	_Alignas(struct nlmsghdr) uint8_t bytes[REQUEST_BYTES];
};

static int tun_fail(char *why, int error, const char *what, const char *name)
{
	(void)snprintf(why, WHY_MAX, "%s %.100s: %s", what, name, strerror(error));
	return -error;
}

/* The address as the kernel wants it: 4 bytes of IPv4 or 16 of IPv6. */
static const void *raw_address(const struct ip_prefix *p, uint8_t *ret_family, size_t *ret_n_bytes)
{
	bool v4 = ip_addr_is_v4(&p->addr);

	*ret_family = v4 ? AF_INET : AF_INET6;
	*ret_n_bytes = v4 ? 4 : 16;
	return v4 ? &p->addr.bytes[12] : &p->addr.bytes[0];
}

/* "demo", "4711" and "/run/netns/demo" all name a namespace. */
static int netns_open(const char *netns)
{
	char path[NETNS_PATH_MAX];
	const char *before = "/run/netns/", *after = "";

	if (netns == NULL)
		netns = "/proc/self/ns/net";
	if (strchr(netns, '/') != NULL) {
		before = "";
	} else if (strspn(netns, "0123456789") == strlen(netns)) {
		before = "/proc/";
		after = "/ns/net";
	}
	if (snprintf(path, sizeof(path), "%s%s%s", before, netns, after) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int tun_open(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int error;

	if (fd < 0)
		return -errno;
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &request) < 0) {
		error = errno;
		(void)close(fd);
		return -error;
	}
	return fd;
}

static struct mnl_socket *netlink_open(void)
{
	struct mnl_socket *netlink = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (netlink != NULL && mnl_socket_bind(netlink, 0, MNL_SOCKET_AUTOPID) < 0) {
		(void)mnl_socket_close(netlink);
		netlink = NULL;
	}
	return netlink;
}

static struct nlmsghdr *request_start(struct request *r, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(r->bytes);

	header->nlmsg_type = type;
	header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	header->nlmsg_seq = (uint32_t)time(NULL);
	return header;
}

/* Sends the request and waits for its answer; `read_one` sees an answer that carries data. */
static int request_run(
	const struct tun *t, const struct nlmsghdr *header, mnl_cb_t read_one, void *context)
{
	unsigned int port = mnl_socket_get_portid(t->netlink);
	void *answer = malloc(ANSWER_BYTES);
	ssize_t n = answer != NULL ? 1 : -1;
	int ret = MNL_CB_ERROR;

	if (n > 0)
		n = mnl_socket_sendto(t->netlink, header, header->nlmsg_len);
	while (n > 0) {
		n = mnl_socket_recvfrom(t->netlink, answer, ANSWER_BYTES);
		if (n <= 0)
			break;
		ret = mnl_cb_run(answer, (size_t)n, header->nlmsg_seq, port, read_one, context);
		if (ret <= MNL_CB_STOP)
			break;
	}
	if (n <= 0 || ret < 0)
		ret = -errno;
	free(answer);
	return ret < 0 ? ret : 0;
}

/* No link-local address: without one the kernel solicits no routers on the "modem". */
static void tun_quiet_ipv6(const struct tun *t)
{
	struct request r;
	struct nlmsghdr *header = request_start(&r, RTM_NEWLINK, 0);
	struct ifinfomsg *link = mnl_nlmsg_put_extra_header(header, sizeof(*link));
	struct nlattr *families, *inet6;

	link->ifi_index = (int)t->ifindex;
	families = mnl_attr_nest_start(header, IFLA_AF_SPEC);
	inet6 = mnl_attr_nest_start(header, AF_INET6);
	mnl_attr_put_u8(header, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(header, inet6);
	mnl_attr_nest_end(header, families);
	(void)request_run(t, header, NULL, NULL); /* a kernel without IPv6 is quiet already */
}

static int tun_up(const struct tun *t, uint32_t mtu)
{
	struct request r;
	struct nlmsghdr *header = request_start(&r, RTM_NEWLINK, 0);
	struct ifinfomsg *link = mnl_nlmsg_put_extra_header(header, sizeof(*link));

	link->ifi_index = (int)t->ifindex;
	link->ifi_flags = IFF_UP;
	link->ifi_change = IFF_UP;
	mnl_attr_put_u32(header, IFLA_MTU, mtu);
	mnl_attr_put_u32(header, IFLA_TXQLEN, TUN_QUEUE_PACKETS);
	return request_run(t, header, NULL, NULL);
}

static int tun_address(const struct tun *t, const struct ip_prefix *p)
{
	struct request r;
	struct nlmsghdr *header = request_start(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
	struct ifaddrmsg *address = mnl_nlmsg_put_extra_header(header, sizeof(*address));
	size_t n_bytes;
	const void *raw = raw_address(p, &address->ifa_family, &n_bytes);

	address->ifa_prefixlen = p->len_bits;
	address->ifa_index = t->ifindex;
	/* No duplicate address detection: nobody answers on a point-to-point link. */
	address->ifa_flags = address->ifa_family == AF_INET6 ? IFA_F_NODAD : 0;
	mnl_attr_put(header, IFA_LOCAL, n_bytes, raw);
	mnl_attr_put(header, IFA_ADDRESS, n_bytes, raw);
	return request_run(t, header, NULL, NULL);
}

static int tun_route(const struct tun *t, const struct ip_prefix *p)
{
	struct request r;
	struct nlmsghdr *header = request_start(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
	struct rtmsg *route = mnl_nlmsg_put_extra_header(header, sizeof(*route));
	size_t n_bytes;
	const void *raw = raw_address(p, &route->rtm_family, &n_bytes);

	route->rtm_dst_len = p->len_bits;
	route->rtm_table = RT_TABLE_MAIN;
	route->rtm_protocol = RTPROT_STATIC;
	route->rtm_scope = RT_SCOPE_LINK;
	route->rtm_type = RTN_UNICAST;
	mnl_attr_put(header, RTA_DST, n_bytes, raw);
	mnl_attr_put_u32(header, RTA_OIF, t->ifindex);
	return request_run(t, header, NULL, NULL);
}

/* In the interface's namespace. */
static int tun_configure(struct tun *t, const struct tun_config *config, char *why)
{
	struct ip_prefix prefix;
	int ret;

	t->netlink = netlink_open();
	if (t->netlink == NULL)
		return tun_fail(why, errno, "netlink for", config->name);
	t->ifindex = if_nametoindex(config->name);
	tun_quiet_ipv6(t);
	ret = tun_up(t, config->mtu);
	if (ret < 0)
		return tun_fail(why, -ret, "cannot set up", config->name);
	if (config->address != NULL) {
		ret = ip_prefix_parse(config->address, &prefix);
		ret = ret < 0 ? ret : tun_address(t, &prefix);
		if (ret < 0)
			return tun_fail(why, -ret, "cannot set the address", config->address);
	}
	if (config->route != NULL) {
		ret = ip_prefix_parse(config->route, &prefix);
		ret = ret < 0 ? ret : tun_route(t, &prefix);
		if (ret < 0)
			return tun_fail(why, -ret, "cannot set the route", config->route);
	}
	return 0;
}

static int tun_create_here(struct tun *t, const struct tun_config *config, char *why)
{
	t->fd = tun_open(config->name);
	if (t->fd == -EPERM || t->fd == -ENOENT)
		return tun_fail(why, -t->fd,
			"needs root (CAP_NET_ADMIN) and /dev/net/tun (modprobe tun) for",
			config->name);
	if (t->fd < 0)
		return tun_fail(why, -t->fd, "cannot make", config->name);
	return tun_configure(t, config, why);
}

int tun_create(struct tun *t, const struct tun_config *config, char *why)
{
	int home, there, ret;

	*t = (struct tun){.fd = -1};
	if (strlen(config->name) >= IFNAMSIZ)
		return tun_fail(why, ENAMETOOLONG, "cannot make", config->name);
	home = netns_open(NULL);
	if (home < 0)
		return tun_fail(why, errno, "namespace of", "this process");
	there = netns_open(config->netns);
	if (there < 0) {
		ret = tun_fail(why, errno, "namespace", config->netns != NULL ? config->netns : "");
		goto err_home;
	}
	if (setns(there, CLONE_NEWNET) < 0) {
		ret = tun_fail(why, errno, "cannot enter the namespace for", config->name);
		goto err_there;
	}
	ret = tun_create_here(t, config, why);
	if (setns(home, CLONE_NEWNET) < 0 && ret == 0)
		ret = tun_fail(why, errno, "cannot leave the namespace of", config->name);
	if (ret < 0)
		tun_destroy(t);
err_there:
	(void)close(there);
err_home:
	(void)close(home);
	return ret;
}

static int read_stats(const struct nlattr *attribute, void *context)
{
	struct rtnl_link_stats64 stats;
	uint64_t *ret_packets = context;

	if (mnl_attr_get_type(attribute) == IFLA_STATS64
		&& mnl_attr_get_payload_len(attribute) >= sizeof(stats.tx_dropped)) {
		memset(&stats, 0, sizeof(stats));
		memcpy(&stats, mnl_attr_get_payload(attribute),
			mnl_attr_get_payload_len(attribute) < sizeof(stats)
				? mnl_attr_get_payload_len(attribute)
				: sizeof(stats));
		*ret_packets = stats.tx_dropped;
	}
	return MNL_CB_OK;
}

static int read_link(const struct nlmsghdr *header, void *context)
{
	return mnl_attr_parse(header, sizeof(struct ifinfomsg), read_stats, context);
}

int tun_dropped(const struct tun *t, uint64_t *ret_packets)
{
	struct request r;
	struct nlmsghdr *header = request_start(&r, RTM_GETLINK, 0);
	struct ifinfomsg *link = mnl_nlmsg_put_extra_header(header, sizeof(*link));

	link->ifi_index = (int)t->ifindex;
	return request_run(t, header, read_link, ret_packets);
}

void tun_destroy(struct tun *t)
{
	if (t->netlink != NULL)
		(void)mnl_socket_close(t->netlink);
	if (t->fd >= 0)
		(void)close(t->fd);
	*t = (struct tun){.fd = -1};
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "netdev.h"

#include <ctype.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Everything by which a driver or the kernel makes one frame of several, whatever the sender had sent. */
static const char *const merging[] = {
	"rx-gro", "rx-lro", "rx-gro-hw", "rx-udp-gro-forwarding", "rx-gro-list"};
#define N_MERGING (sizeof(merging) / sizeof(merging[0]))

bool netdev_name_is_valid(const char *device)
{
	size_t len = strlen(device);

	if (len == 0 || len >= NETDEV_NAME_MAX || strcmp(device, ".") == 0
		|| strcmp(device, "..") == 0)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isgraph((unsigned char)device[i]) || strchr("/\\\"'*:", device[i]) != NULL)
			return false;
	return true;
}

static int interface_ioctl(const char *device, unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = 0;

	if (fd < 0)
		return -errno;
	(void)snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", device);
	if (ioctl(fd, request, ifr) < 0)
		r = -errno;
	(void)close(fd);
	return r;
}

int netdev_read(const char *device, struct netdev *ret_netdev)
{
	struct netdev n = {0};
	struct ifreq ifr = {0};
	int r;

	r = interface_ioctl(device, SIOCGIFINDEX, &ifr);
	if (r < 0)
		return r;
	n.index = ifr.ifr_ifindex;
	r = interface_ioctl(device, SIOCGIFFLAGS, &ifr);
	if (r < 0)
		return r;
	n.is_up = (ifr.ifr_flags & IFF_UP) != 0;
	n.is_running = n.is_up && (ifr.ifr_flags & IFF_RUNNING) != 0;
	r = interface_ioctl(device, SIOCGIFMTU, &ifr);
	if (r < 0)
		return r;
	n.mtu = (uint32_t)ifr.ifr_mtu;
	r = interface_ioctl(device, SIOCGIFHWADDR, &ifr);
	if (r < 0)
		return r;
	n.type = ifr.ifr_hwaddr.sa_family;
	memcpy(n.mac.bytes, ifr.ifr_hwaddr.sa_data, sizeof(n.mac.bytes));
	*ret_netdev = n;
	return 0;
}

const char *netdev_why_down(const char *device)
{
	struct netdev n;

	if (netdev_read(device, &n) < 0)
		return "gone";
	if (!n.is_up)
		return "down";
	return n.is_running ? NULL : "no carrier";
}

static int ethtool_ioctl(const char *device, void *command)
{
	struct ifreq ifr = {.ifr_data = command};

	return interface_ioctl(device, SIOCETHTOOL, &ifr);
}

int netdev_read_driver(const char *device, char driver[NETDEV_DRIVER_MAX])
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	int r = ethtool_ioctl(device, &info);

	if (r == 0)
		(void)snprintf(driver, NETDEV_DRIVER_MAX, "%s", info.driver);
	return r;
}

bool netdev_takes_super_frames(const char *device)
{
	struct ethtool_value tso = {.cmd = ETHTOOL_GTSO}; /* TSO of any kind */

	return ethtool_ioctl(device, &tso) < 0 || tso.data != 0;
}

int netdev_read_rx_queues(const char *device, uint32_t *ret_n)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	int r = ethtool_ioctl(device, &channels);

	if (r == 0)
		*ret_n = channels.rx_count + channels.combined_count;
	return r;
}

/* Names of all features of this kernel, in the order of its bits; freed by the caller. */
static int read_feature_names(const char *device, struct ethtool_gstrings **ret_names)
{
	struct ethtool_sset_info *set = calloc(1, sizeof(*set) + sizeof(set->data[0]));
	struct ethtool_gstrings *names;
	uint32_t n;
	int r;

	if (set == NULL)
		return -ENOMEM;
	set->cmd = ETHTOOL_GSSET_INFO;
	set->sset_mask = 1ull << ETH_SS_FEATURES;
	r = ethtool_ioctl(device, set);
	n = set->data[0];
	free(set);
	if (r < 0)
		return r;
	names = calloc(1, sizeof(*names) + (size_t)n * ETH_GSTRING_LEN);
	if (names == NULL)
		return -ENOMEM;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_FEATURES;
	names->len = n;
	r = ethtool_ioctl(device, names);
	if (r < 0) {
		free(names);
		return r;
	}
	*ret_names = names;
	return 0;
}

/* The feature bit of each merging offload, or UINT32_MAX where this kernel has none; returns the number of features. */
static int read_places(const char *device, uint32_t places[N_MERGING], uint32_t *ret_n)
{
	struct ethtool_gstrings *names;
	int r = read_feature_names(device, &names);

	if (r < 0)
		return r;
	for (size_t i = 0; i < N_MERGING; i++) {
		places[i] = UINT32_MAX;
		for (uint32_t bit = 0; bit < names->len; bit++)
			if (strncmp((const char *)names->data + (size_t)bit * ETH_GSTRING_LEN,
				    merging[i], ETH_GSTRING_LEN)
				== 0)
				places[i] = bit;
	}
	*ret_n = names->len;
	free(names);
	return 0;
}

int netdev_read_offloads(const char *device, uint32_t *ret_active)
{
	struct ethtool_gfeatures *features;
	uint32_t places[N_MERGING], n, n_blocks, active = 0;
	int r = read_places(device, places, &n);

	if (r < 0)
		return r;
	n_blocks = (n + 31) / 32;
	features = calloc(1, sizeof(*features) + n_blocks * sizeof(features->features[0]));
	if (features == NULL)
		return -ENOMEM;
	features->cmd = ETHTOOL_GFEATURES;
	features->size = n_blocks;
	r = ethtool_ioctl(device, features);
	for (size_t i = 0; r == 0 && i < N_MERGING; i++)
		if (places[i] < n
			&& (features->features[places[i] / 32].active & 1u << places[i] % 32) != 0)
			active |= 1u << i;
	free(features);
	if (r == 0)
		*ret_active = active;
	return r;
}

int netdev_set_offloads(const char *device, uint32_t which, bool on)
{
	struct ethtool_sfeatures *features;
	uint32_t places[N_MERGING], n, n_blocks;
	int r = read_places(device, places, &n);

	if (r < 0)
		return r;
	n_blocks = (n + 31) / 32;
	features = calloc(1, sizeof(*features) + n_blocks * sizeof(features->features[0]));
	if (features == NULL)
		return -ENOMEM;
	features->cmd = ETHTOOL_SFEATURES;
	features->size = n_blocks;
	for (size_t i = 0; i < N_MERGING; i++) {
		struct ethtool_set_features_block *block;

		if (places[i] >= n || (which & 1u << i) == 0)
			continue;
		block = &features->features[places[i] / 32];
		block->valid |= 1u << places[i] % 32;
		if (on)
			block->requested |= 1u << places[i] % 32;
	}
	r = ethtool_ioctl(device, features);
	free(features);
	return r;
}

const char *netdev_format_offloads(uint32_t which, char text[NETDEV_OFFLOADS_TEXT])
{
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < N_MERGING; i++)
		if ((which & 1u << i) != 0)
			len += (size_t)snprintf(text + len, NETDEV_OFFLOADS_TEXT - len, "%s%s",
				len > 0 ? "," : "", merging[i]);
	return text;
}

uint32_t netdev_parse_offloads(const char *text)
{
	uint32_t which = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, ",");

		for (size_t i = 0; i < N_MERGING; i++)
			if (strlen(merging[i]) == len && strncmp(text, merging[i], len) == 0)
				which |= 1u << i;
		text += len;
		text += *text == ',';
	}
	return which;
}

int netdev_set_mac(const char *device, const struct mac_addr *mac)
{
	struct ifreq ifr = {0};

	ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(ifr.ifr_hwaddr.sa_data, mac->bytes, sizeof(mac->bytes));
	return interface_ioctl(device, SIOCSIFHWADDR, &ifr);
}

int netdev_set_mtu(const char *device, uint32_t mtu)
{
	struct ifreq ifr = {.ifr_mtu = (int)mtu};

	return interface_ioctl(device, SIOCSIFMTU, &ifr);
}

int netdev_set_up(const char *device)
{
	struct ifreq ifr = {0};
	int r = interface_ioctl(device, SIOCGIFFLAGS, &ifr);

	if (r < 0)
		return r;
	ifr.ifr_flags = (short)(ifr.ifr_flags | IFF_UP);
	return interface_ioctl(device, SIOCSIFFLAGS, &ifr);
}

static void put_v4(struct sockaddr *to, uint32_t addr_be)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {addr_be}};

	memcpy(to, &sin, sizeof(sin));
}

int netdev_set_address(const char *device, const struct ip_prefix *address)
{
	struct ifreq ifr = {0};
	int r;

	if (!ip_addr_is_v4(&address->addr))
		return -EAFNOSUPPORT;
	put_v4(&ifr.ifr_addr, address->addr.words[3]);
	r = interface_ioctl(device, SIOCSIFADDR, &ifr);
	if (r < 0)
		return r;
	put_v4(&ifr.ifr_netmask, ip_v4_mask(address->len_bits));
	return interface_ioctl(device, SIOCSIFNETMASK, &ifr);
}

int netdev_add_default_route(const char *device, uint16_t metric)
{
	char name[NETDEV_NAME_MAX];
	/* This old call takes the metric plus one: zero means that none was given. */
	struct rtentry route = {
		.rt_flags = RTF_UP, .rt_metric = (short)(metric + 1), .rt_dev = name};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = 0;

	if (fd < 0)
		return -errno;
	(void)snprintf(name, sizeof(name), "%s", device);
	put_v4(&route.rt_dst, 0);
	put_v4(&route.rt_genmask, 0);
	if (ioctl(fd, SIOCADDRT, &route) < 0)
		r = -errno;
	(void)close(fd);
	return r;
}

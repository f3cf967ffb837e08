/* SPDX-License-Identifier: BSD-3-Clause */
#include "netdev.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ANSWER_BYTES 32768 /* an interface has many attributes */

static int read_attribute(const struct nlattr *attribute, void *arg)
{
	struct netdev_sending *s = arg;

	switch (mnl_attr_get_type(attribute)) {
	case IFLA_QDISC:
		s->has_queue = strcmp(mnl_attr_get_str(attribute), "noqueue") != 0;
		break;
	case IFLA_GSO_MAX_SIZE:
		s->gso_bytes = mnl_attr_get_u32(attribute);
		break;
	case IFLA_GSO_MAX_SEGS:
		s->gso_segments = mnl_attr_get_u32(attribute);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static int read_link(const struct nlmsghdr *answer, void *arg)
{
	return mnl_attr_parse(answer, sizeof(struct ifinfomsg), read_attribute, arg);
}

static int ask(struct mnl_socket *socket, int index, char *room, struct netdev_sending *s)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(room);
	struct ifinfomsg *link;
	ssize_t len;

	request->nlmsg_type = RTM_GETLINK;
	request->nlmsg_flags = NLM_F_REQUEST;
	link = mnl_nlmsg_put_extra_header(request, sizeof(*link));
	link->ifi_family = AF_UNSPEC;
	link->ifi_index = index;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0
		|| mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return -errno;
	len = mnl_socket_recvfrom(socket, room, ANSWER_BYTES);
	if (len < 0)
		return -errno;
	return mnl_cb_run(room, (size_t)len, 0, 0, read_link, s) < 0 ? -errno : 0;
}

int netdev_read_sending(int index, struct netdev_sending *ret_sending)
{
	struct netdev_sending s = {.has_queue = true};
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	char *room;
	int r;

	if (socket == NULL)
		return -errno;
	room = malloc(ANSWER_BYTES);
	r = room != NULL ? ask(socket, index, room, &s) : -ENOMEM;
	free(room);
	(void)mnl_socket_close(socket);
	if (r == 0)
		*ret_sending = s;
	return r;
}

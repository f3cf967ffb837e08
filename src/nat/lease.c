/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/nat/lease.h>
#include <weir/packet/meta.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PORT_PRIVILEGED_END                                                                        \
	1024 /* below are services that a site's own configuration opens, or nobody */
#define NO_DEVICE UINT16_MAX /* leases have a limit of their own */

struct lease_table {
	struct nat *nat;
	struct ip_addr external;
	uint64_t epoch_us;
	struct lease_limits limits;
	lease_told *tell;
	void *context;
	uint32_t n;
	uint32_t cursor;
	uint16_t n_high; /* places ever used */
	struct lease leases[NAT_PINS_MAX];
};

/* A request on its way, and what is known of it. */
struct asking {
	struct lease_table *t;
	const struct pcp_request *request;
	const struct lease_client *client;
	struct nat_internal who;
	bool is_peer;
	uint64_t now_us;
	struct pcp_reply *reply;
};

int lease_table_create(lease_told *tell, void *context, struct lease_table **ret_table)
{
	struct lease_table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	t->tell = tell;
	t->context = context;
	t->limits.lifetime_max_s = LEASE_LIFETIME_MIN_S;
	*ret_table = t;
	return 0;
}

void lease_table_destroy(struct lease_table *t)
{
	free(t);
}

void lease_table_set_limits(struct lease_table *t, const struct lease_limits *limits)
{
	t->limits = *limits;
}

const struct lease *lease_at(const struct lease_table *t, uint16_t id)
{
	return &t->leases[id];
}

uint32_t lease_table_n(const struct lease_table *t)
{
	return t->n;
}

uint32_t lease_table_epoch_s(const struct lease_table *t, uint64_t now_us)
{
	return (uint32_t)((now_us - t->epoch_us) / US_PER_S);
}

void lease_table_end(struct lease_table *t, uint16_t id)
{
	struct lease *l = &t->leases[id];

	l->in_use = false;
	t->n--;
	nat_unpin(t->nat, l->mapping_id, id);
	t->tell(t->context, l, LEASE_ENDED);
}

void lease_table_begin(
	struct lease_table *t, struct nat *nat, const struct ip_addr *external, uint64_t now_us)
{
	for (uint16_t i = 0; i < t->n_high; i++)
		if (t->leases[i].in_use)
			lease_table_end(t, i);
	t->nat = nat;
	t->external = *external;
	t->epoch_us = now_us;
	t->n_high = 0;
	t->cursor = 0;
}

void lease_table_expire(struct lease_table *t, uint64_t now_us, uint32_t n_looks)
{
	for (uint32_t i = 0; i < n_looks && t->n > 0; i++) {
		uint16_t id = (uint16_t)t->cursor;

		t->cursor = id + 1u >= t->n_high ? 0 : id + 1u;
		if (t->leases[id].in_use && t->leases[id].expires_us <= now_us)
			lease_table_end(t, id);
	}
}

static bool is_of_client(const struct lease *l, const struct lease_client *c)
{
	return l->in_use && l->lan_port == c->lan_port && ip_addr_equal(&l->internal, &c->addr);
}

static bool is_asked_for(const struct asking *a, const struct lease *l)
{
	if (l->is_peer != a->is_peer || l->proto != a->who.proto || l->internal_port != a->who.port)
		return false;
	return !a->is_peer
	       || (l->remote_port == a->request->remote_port
		       && ip_addr_equal(&l->remote, &a->request->remote));
}

/* The lease that a request is about; how many its host has, and a free place, LEASE_NONE where there is none. */
static uint16_t find(const struct asking *a, uint32_t *ret_n, uint16_t *ret_free)
{
	const struct lease_table *t = a->t;
	uint16_t found = LEASE_NONE;

	*ret_n = 0;
	*ret_free = t->n_high < NAT_PINS_MAX ? t->n_high : LEASE_NONE;
	for (uint16_t i = 0; i < t->n_high; i++) {
		if (!t->leases[i].in_use)
			*ret_free = i;
		if (!is_of_client(&t->leases[i], a->client))
			continue;
		(*ret_n)++;
		if (is_asked_for(a, &t->leases[i]))
			found = i;
	}
	return found;
}

static bool has_nonce(const struct lease *l, const struct pcp_request *r)
{
	return memcmp(l->nonce, r->nonce, sizeof(l->nonce)) == 0;
}

static uint32_t clamped_s(const struct lease_table *t, uint32_t asked_s)
{
	uint32_t s = asked_s < LEASE_LIFETIME_MIN_S ? LEASE_LIFETIME_MIN_S : asked_s;

	return s > t->limits.lifetime_max_s ? t->limits.lifetime_max_s : s;
}

static uint32_t left_s(const struct lease *l, uint64_t now_us)
{
	return l->expires_us <= now_us
		       ? 0
		       : (uint32_t)((l->expires_us - now_us + US_PER_S - 1) / US_PER_S);
}

/* Section 13.2: true when the host would rather have nothing than this port, or this address. */
static bool is_refused(const struct asking *a, uint16_t external_port)
{
	const struct pcp_request *r = a->request;

	if (!r->prefers_failure)
		return false;
	return (r->external_port != 0 && r->external_port != external_port)
	       || (!ip_addr_is_unset(&r->external)
		       && !ip_addr_equal(&r->external, &a->t->external));
}

static bool has_peer(const struct nat_pin *pin, const struct pcp_filter *f)
{
	for (uint32_t i = 0; i < pin->n_peers; i++)
		if (pin->peers[i].port == f->port
			&& pin->peers[i].remote.len_bits == f->remote.len_bits
			&& ip_addr_equal(&pin->peers[i].remote.addr, &f->remote.addr))
			return true;
	return false;
}

/* Whom the lease lets in after this request: section 13.3, its filters stand beside those of before. */
static enum pcp_result refine(const struct asking *a, struct nat_pin *pin)
{
	const struct pcp_request *r = a->request;

	if (a->is_peer) {
		pin->n_peers = 1;
		pin->peers[0] = (struct nat_peer){
			.remote = {.addr = r->remote, .len_bits = 32}, .port = r->remote_port};
		return PCP_SUCCESS;
	}
	if (r->clears_filters)
		pin->n_peers = 0;
	for (uint32_t i = 0; i < r->n_filters; i++) {
		if (has_peer(pin, &r->filters[i]))
			continue;
		if (pin->n_peers == NAT_PIN_PEERS_MAX)
			return PCP_EXCESSIVE_REMOTE_PEERS;
		pin->peers[pin->n_peers++] = (struct nat_peer){
			.remote = r->filters[i].remote, .port = r->filters[i].port};
	}
	pin->is_open = pin->n_peers == 0;
	return PCP_SUCCESS;
}

/* The mapping for a new lease; what was made in vain is gone again. */
static enum pcp_result map(const struct asking *a, uint32_t *ret_mapping_id)
{
	const struct pcp_request *r = a->request;
	struct nat *nat = a->t->nat;
	bool is_exact = r->prefers_failure && r->external_port != 0;
	enum drop_reason why =
		nat_map_wanted(nat, &a->who, r->external_port, is_exact, ret_mapping_id);
	enum pcp_result result = PCP_SUCCESS;
	const struct nat_mapping *m;

	if (why != DROP_NONE)
		return why == DROP_NAT_NO_PORT && is_exact ? PCP_CANNOT_PROVIDE_EXTERNAL
							   : PCP_NO_RESOURCES;
	m = nat_mapping(nat, *ret_mapping_id);
	if (is_refused(a, m->external_port))
		result = PCP_CANNOT_PROVIDE_EXTERNAL;
	else if (!a->is_peer && m->external_port < PORT_PRIVILEGED_END)
		result =
			PCP_NOT_AUTHORIZED; /* a flow of its own has it: not for others to call at */
	else if (nat_find_external(nat, m->proto, m->external_port) != *ret_mapping_id)
		result = PCP_NO_RESOURCES; /* the port is still another's, who had it before it was
					      forwarded */
	if (result != PCP_SUCCESS)
		nat_forget_unused(nat, *ret_mapping_id);
	return result;
}

static enum pcp_result open_lease(struct asking *a, uint16_t id, const struct nat_pin *pin)
{
	const struct pcp_request *r = a->request;
	struct lease_table *t = a->t;
	struct lease *l = &t->leases[id];
	uint32_t mapping_id;
	enum pcp_result result = map(a, &mapping_id);

	if (result != PCP_SUCCESS)
		return result;
	*l = (struct lease){
		.internal = a->who.addr,
		.remote = r->remote,
		.mapping_id = mapping_id,
		.internal_port = a->who.port,
		.external_port = nat_mapping(t->nat, mapping_id)->external_port,
		.remote_port = r->remote_port,
		.proto = a->who.proto,
		.lan_port = a->who.lan_port,
		.is_peer = a->is_peer,
		.in_use = true,
		.mac = a->client->mac,
		.expires_us = a->now_us + clamped_s(t, r->lifetime_s) * US_PER_S,
	};
	memcpy(l->nonce, r->nonce, sizeof(l->nonce));
	nat_pin(t->nat, mapping_id, id, pin);
	if (id == t->n_high)
		t->n_high++;
	t->n++;
	t->tell(t->context, l, LEASE_OPENED);
	return PCP_SUCCESS;
}

static enum pcp_result grant(struct asking *a, uint16_t id, uint32_t n_of_client, uint16_t free_id)
{
	struct lease_table *t = a->t;
	struct nat_pin pin = id == LEASE_NONE ? (struct nat_pin){0} : t->leases[id].pin;
	bool is_new = id == LEASE_NONE;
	enum pcp_result result = refine(a, &pin);

	if (result != PCP_SUCCESS)
		return result;
	if (is_new && n_of_client >= t->limits.per_device)
		return PCP_USER_EX_QUOTA;
	if (is_new && free_id == LEASE_NONE)
		return PCP_NO_RESOURCES;
	if (is_new) {
		id = free_id;
		result = open_lease(a, id, &pin);
	} else if (is_refused(a, t->leases[id].external_port)) {
		result = PCP_CANNOT_PROVIDE_EXTERNAL;
	}
	if (result != PCP_SUCCESS)
		return result;
	t->leases[id].pin = pin;
	t->leases[id].mac = a->client->mac;
	t->leases[id].expires_us = a->now_us + clamped_s(t, a->request->lifetime_s) * US_PER_S;
	nat_set_pin(t->nat, id, &pin);
	a->reply->lifetime_s = clamped_s(t, a->request->lifetime_s);
	a->reply->external_port = t->leases[id].external_port;
	return PCP_SUCCESS;
}

/* Section 15: what the configuration forwards is open without a lease, and nobody's to close. */
static enum pcp_result answer_forwarded(struct asking *a, uint16_t external_port)
{
	if (a->request->lifetime_s == 0)
		return PCP_NOT_AUTHORIZED;
	if (is_refused(a, external_port))
		return PCP_CANNOT_PROVIDE_EXTERNAL;
	a->reply->lifetime_s = clamped_s(a->t, a->request->lifetime_s);
	a->reply->external_port = external_port;
	return PCP_SUCCESS;
}

/* Section 15: all ports, or all of one protocol, as far as they are of this nonce. */
static void end_many(struct asking *a)
{
	struct lease_table *t = a->t;

	for (uint16_t i = 0; i < t->n_high; i++) {
		const struct lease *l = &t->leases[i];

		if (is_of_client(l, a->client) && !l->is_peer && has_nonce(l, a->request)
			&& (a->who.proto == 0 || a->who.proto == l->proto))
			lease_table_end(t, i);
	}
}

static enum pcp_result check_endpoints(const struct asking *a)
{
	const struct pcp_request *r = a->request;

	if ((r->proto != PROTO_TCP && r->proto != PROTO_UDP) || r->internal_port == 0)
		return PCP_UNSUPP_PROTOCOL; /* nor all ports: that is for a DMZ host */
	if (a->is_peer && (r->remote_port == 0 || !ip_addr_is_v4(&r->remote)))
		return PCP_MALFORMED_REQUEST;
	return PCP_SUCCESS;
}

/* MAP or PEER. */
static enum pcp_result answer_mapping(struct asking *a)
{
	const struct pcp_request *r = a->request;
	struct lease_table *t = a->t;
	enum pcp_result result;
	uint32_t n_of_client;
	uint16_t forwarded;
	uint16_t free_id;
	uint16_t id;

	a->reply->external_port = r->external_port;
	if (!a->is_peer && r->lifetime_s == 0 && (r->proto == 0 || r->internal_port == 0)) {
		end_many(a);
		return PCP_SUCCESS;
	}
	result = check_endpoints(a);
	if (result != PCP_SUCCESS)
		return result;
	id = find(a, &n_of_client, &free_id);
	if (id != LEASE_NONE && !has_nonce(&t->leases[id], r)) {
		a->reply->lifetime_s = left_s(&t->leases[id], a->now_us);
		return PCP_NOT_AUTHORIZED;
	}
	forwarded = id == LEASE_NONE ? nat_forwarded_port(t->nat, &a->who) : 0;
	if (forwarded != 0)
		return answer_forwarded(a, forwarded);
	if (r->lifetime_s != 0)
		return grant(a, id, n_of_client, free_id);
	if (id != LEASE_NONE)
		lease_table_end(t, id);
	return PCP_SUCCESS;
}

void lease_table_answer(struct lease_table *t, const struct pcp_request *request,
	const struct lease_client *client, bool is_up, uint64_t now_us, struct pcp_reply *ret_reply)
{
	struct asking a = {
		.t = t,
		.request = request,
		.client = client,
		.who = {.addr = client->addr,
			.port = request->internal_port,
			.proto = request->proto,
			.lan_port = client->lan_port,
			.device_id = NO_DEVICE},
		.is_peer = request->opcode == PCP_PEER,
		.now_us = now_us,
		.reply = ret_reply,
	};

	*ret_reply = (struct pcp_reply){.epoch_s = lease_table_epoch_s(t, now_us)};
	if (request->opcode == PCP_ANNOUNCE)
		return;
	if (t->nat == NULL || !is_up) {
		ret_reply->result = PCP_NETWORK_FAILURE;
	} else {
		ret_reply->external = t->external;
		if (request->opcode != PCP_ADDRESS)
			ret_reply->result = answer_mapping(&a);
	}
	if (ret_reply->result != PCP_SUCCESS && ret_reply->lifetime_s == 0)
		ret_reply->lifetime_s = pcp_error_lifetime_s(ret_reply->result);
}

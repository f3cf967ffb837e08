/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipfix_tls.h"

#include "ipfix_link.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 256
#define PRIORITIES     "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct ipfix_tls {
	gnutls_certificate_credentials_t credentials;
	gnutls_session_t session;  /* NULL: none */
	char name[NAME_MAX_BYTES]; /* that the certificate must have */
	bool is_address;
};

static int load(
	struct ipfix_tls *t, const struct export_ipfix_params *p, char error[EXPORT_ERROR_MAX])
{
	int n = gnutls_certificate_set_x509_trust_file(
		t->credentials, p->ca_file, GNUTLS_X509_FMT_PEM);

	if (n <= 0) {
		(void)snprintf(error, EXPORT_ERROR_MAX, "no certificate can be read from %s: %s",
			p->ca_file, n < 0 ? gnutls_strerror(n) : "it holds none");
		return -EINVAL;
	}
	if (p->certificate[0] == '\0')
		return 0;
	n = gnutls_certificate_set_x509_key_file(
		t->credentials, p->certificate, p->key, GNUTLS_X509_FMT_PEM);
	if (n < 0)
		(void)snprintf(error, EXPORT_ERROR_MAX, "cannot use %s with the key %s: %s",
			p->certificate, p->key, gnutls_strerror(n));
	return n < 0 ? -EINVAL : 0;
}

int ipfix_tls_create(const struct export_ipfix_params *params, char error[EXPORT_ERROR_MAX],
	struct ipfix_tls **ret_tls)
{
	struct ipfix_tls *t = calloc(1, sizeof(*t));
	int err;

	if (t == NULL || gnutls_certificate_allocate_credentials(&t->credentials) < 0) {
		free(t);
		(void)snprintf(error, EXPORT_ERROR_MAX, "no memory for TLS");
		return -ENOMEM;
	}
	t->is_address = params->server_name[0] == '\0';
	if (t->is_address)
		ip_addr_format(&params->collector, t->name);
	else
		(void)snprintf(t->name, sizeof(t->name), "%s", params->server_name);
	err = load(t, params, error);
	if (err < 0) {
		ipfix_tls_destroy(t);
		return err;
	}
	*ret_tls = t;
	return 0;
}

void ipfix_tls_destroy(struct ipfix_tls *t)
{
	if (t == NULL)
		return;
	ipfix_tls_end(t);
	gnutls_certificate_free_credentials(t->credentials);
	free(t);
}

void ipfix_tls_end(struct ipfix_tls *t)
{
	if (t->session != NULL)
		gnutls_deinit(t->session);
	t->session = NULL;
}

/* GnuTLS's records go into the link's buffer, whose room the caller has looked at. */
static ssize_t push(gnutls_transport_ptr_t link, const void *octets, size_t n)
{
	struct ipfix_link *l = link;

	if (n <= IPFIX_OUT_BYTES && ipfix_link_queue(l, octets, (uint32_t)n))
		return (ssize_t)n;
	errno = EAGAIN;
	return -1;
}

static ssize_t pull(gnutls_transport_ptr_t link, void *room, size_t n)
{
	const struct ipfix_link *l = link;

	return recv(l->fd, room, n, MSG_DONTWAIT);
}

static int begin(struct ipfix_tls *t, struct ipfix_link *l)
{
	int r = gnutls_init(&t->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);

	if (r < 0) {
		t->session = NULL;
		return r;
	}
	r = gnutls_priority_set_direct(t->session, PRIORITIES, NULL);
	if (r == GNUTLS_E_SUCCESS)
		r = gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, t->credentials);
	if (r == GNUTLS_E_SUCCESS && !t->is_address)
		r = gnutls_server_name_set(t->session, GNUTLS_NAME_DNS, t->name, strlen(t->name));
	gnutls_session_set_verify_cert(t->session, t->name, 0);
	gnutls_transport_set_ptr(t->session, l);
	gnutls_transport_set_push_function(t->session, push);
	gnutls_transport_set_pull_function(t->session, pull);
	return r;
}

static void fail(struct ipfix_tls *t, struct ipfix_link *l, int error)
{
	gnutls_datum_t text;
	char sentence[IPFIX_WHY_MAX] = "";

	if (error == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR
		&& gnutls_certificate_verification_status_print(
			   gnutls_session_get_verify_cert_status(t->session), GNUTLS_CRT_X509,
			   &text, 0)
			   == GNUTLS_E_SUCCESS) {
		(void)snprintf(sentence, sizeof(sentence), "%s", (const char *)text.data);
		gnutls_free(text.data);
	}
	ipfix_link_fail(l, "TLS: %s", sentence[0] != '\0' ? sentence : gnutls_strerror(error));
}

bool ipfix_tls_handshake(struct ipfix_tls *t, struct ipfix_link *l)
{
	int r = t->session == NULL ? begin(t, l) : GNUTLS_E_SUCCESS;

	if (r == GNUTLS_E_SUCCESS)
		r = gnutls_handshake(t->session);
	if (r == GNUTLS_E_SUCCESS)
		return true;
	if (gnutls_error_is_fatal(r) != 0)
		fail(t, l, r);
	return false;
}

bool ipfix_tls_send(struct ipfix_tls *t, struct ipfix_link *l, const uint8_t *octets, uint32_t n)
{
	ssize_t r = gnutls_record_send(t->session, octets, n);

	if (r == (ssize_t)n)
		return true;
	fail(t, l, r < 0 ? (int)r : GNUTLS_E_PUSH_ERROR);
	return false;
}

void ipfix_tls_listen(struct ipfix_tls *t, struct ipfix_link *l)
{
	uint8_t nothing[256];
	ssize_t r = gnutls_record_recv(t->session, nothing, sizeof(nothing));

	if (r == 0)
		ipfix_link_fail(l, "the collector closed the connection");
	else if (r < 0 && gnutls_error_is_fatal((int)r) != 0)
		fail(t, l, (int)r);
}

void ipfix_tls_goodbye(struct ipfix_tls *t)
{
	if (t->session != NULL)
		(void)gnutls_bye(t->session, GNUTLS_SHUT_WR);
}

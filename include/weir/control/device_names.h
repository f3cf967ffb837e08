/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What devices are called: their host names from dnsmasq's leases or else from what they said themselves when they asked for an
 * address, and who made them by their MACs.
 *
 * Source:   dnsmasq(8): a lease is a line "EXPIRY MAC ADDRESS NAME CLIENT-ID", the name "*" where there is none.
 *           IEEE's registry of 24-bit prefixes as Debian's ieee-data has it, "AABBCC     (base 16)  NAME".
 * Shapes:   both files are outside input. A host name has 1 to 63 letters, digits, '-', '_' and '.', or it is none. A name belongs to
 *           an address together with its MAC: who only takes an address does not get its name. A vendor's name is ASCII,
 *           what is not becomes '?'; MACs that devices made up themselves have none.
 *           What a device said of itself (packet/dhcp.h, by doors_names_take) belongs to its MAC. A lease counts before it: it is what the
 *           site's own server has made of the name, or was told to call the device.
 * Errors:   a file that is missing, too long or not to be read gives no names; lines of another shape are skipped.
 * Threads:  one owner, control; reads files, so never the path.
 * Memory:   at most LEASE_NAMES_MAX leases, 88 bytes each, and HEARD_NAMES_MAX names that were heard, 80 bytes each: of these the one heard
 *           longest ago goes, first of those whose MAC no device has had, so that made-up MACs push out one another; for vendors 8 bytes and the name for each of at most VENDORS_MAX, about 1 MB
 *           with the registry of 2022.
 */
#ifndef WEIR_CONTROL_DEVICE_NAMES_H
#define WEIR_CONTROL_DEVICE_NAMES_H

#include <weir/base/addr.h>

#include <stdbool.h>
#include <stdint.h>

#define LEASE_NAMES_MAX 4096
#define HEARD_NAMES_MAX 4096
#define VENDORS_MAX     65536
#define LEASE_NAME_MAX  64 /* with its NUL */
#define VENDOR_NAME_MAX 40 /* with its NUL */

#define VENDORS_FILE "/usr/share/ieee-data/oui.txt"

struct device_names;

/* Reads both files; `leases` may be "": there are none. Returns 0 or -ENOMEM. */
int device_names_create(const char *vendors, const char *leases, struct device_names **ret_names);

/* NULL is fine. */
void device_names_destroy(struct device_names *n);

/* Reads the leases again where their file has changed; call it each second. */
void device_names_follow(struct device_names *n);

/* The station of this MAC calls itself `name`, a host name. `is_device`: a device of this MAC is known. Returns true where that is new;
 * `ret_before` then is what it was called before, or "". */
bool device_names_hear(struct device_names *n, const struct mac_addr *mac, const char *name,
	bool is_device, char ret_before[LEASE_NAME_MAX]);

/* A device of this MAC is known from now on. */
void device_names_see(struct device_names *n, const struct mac_addr *mac);

/* A device's host name, or NULL. Valid until the next call of another function here. `n` may be NULL. */
const char *device_names_host(
	const struct device_names *n, const struct ip_addr *addr, const struct mac_addr *mac);

/* Who made a device, or NULL. `n` may be NULL. */
const char *device_names_vendor(const struct device_names *n, const struct mac_addr *mac);

#endif

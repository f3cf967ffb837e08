/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Directions, named from the LAN. A flow's own direction is counted from its internal endpoint,
 * so on a flow between two LANs "uplink" is the way its initiator speaks.
 */
#ifndef WEIR_BASE_DIRECTION_H
#define WEIR_BASE_DIRECTION_H

#include <stdint.h>

enum direction {
	UPLINK = 0,
	DOWNLINK = 1,
	N_DIRECTIONS = 2
};

#define PORTS_MAX   16 /* ports of a gateway, taps included */
#define PORT_NONE   UINT8_MAX
#define FLOW_NONE   UINT32_MAX
#define DEVICE_NONE UINT16_MAX

#endif

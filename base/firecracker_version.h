/* SPDX-License-Identifier: Apache-2.0 */
/* The release of Firecracker whose API, command lines and files our programs are compatible with. */
#pragma once

#define FIRECRACKER_VERSION "1.17.0"

/* The version of its snapshots' format. */
#define FIRECRACKER_SNAPSHOT_VERSION "11.0.0"

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers of the sandbox, by name. Each is a stage of its own in this folder; which process has
 * which, in what order and why is in docs/sandbox.md.
 *
 * A set of layers is a mask of 1u << enum jail_layer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum jail_layer {
	JAIL_NAMESPACES, /* a user (or, as root, another user id), mounts, processes, network, IPC */
	JAIL_ROOT, /* the only directory is empty and read-only */
	JAIL_CAPABILITIES, /* none, and no way to any */
	JAIL_LANDLOCK, /* no path, no TCP port, no abstract socket, no signal to others */
	JAIL_LIMITS, /* no core dump, no new process, no more descriptors than needed */
	JAIL_SECCOMP, /* a short list of system calls for each kind of thread */
	JAIL_LAYERS, /* how many */
};

enum { JAIL_ALL_LAYERS = (1u << JAIL_LAYERS) - 1 };

/* false in a build with sanitizers, whose runtimes need what the sandbox takes away. */
bool jail_is_built(void);

/* "namespaces", as in --sandbox-allow-missing. */
const char *jail_layer_name(enum jail_layer layer);

/* The layer called @name, @len bytes long; -1 when there is none. */
int jail_layer_find(const char *name, unsigned int len);

/* The names of the layers in @mask, joined by ", ", cut at @size. Returns @buf. */
char *jail_layer_list(uint32_t mask, char *buf, unsigned int size);

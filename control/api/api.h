/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API of a VM on a Unix socket: Firecracker's resources, and Volt's own below /v1; docs/api.yaml
 * describes both. This is the whole of it as the rest of the program sees it.
 *
 *	api_new(&api, base, &instance, &options, &e)	the path appears, requests are taken
 *	api_state_changed(api)				from session_callbacks.on_state
 *	session_free(instance.session)			answers what waits for machine
 *	api_free(api)					writes what was answered
 *
 * Requests that change something are carried out one after the other, in the order in which they
 * came, whatever connections they came by: the next begins when the one before has its answer, so
 * nobody sees a half-made change. Reads, and stopping the VM, do not wait.
 *
 * Loop thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct api;
struct event_base;
struct instance;
struct session_fault;

struct api_options {
	const char *socket_path; /* or "fd:N": see api_socket.h */
	size_t max_body_bytes; /* of Firecracker's requests; 0: 51200 */
	bool is_socket_kept; /* the path stays behind, as Firecracker's does */

	/* The user wants the program to end, and no VM runs. */
	void (*on_quit)(void *opaque);
	void *opaque; /* borrowed: outlives the API */
};

/*
 * Serves @instance (borrowed, like @base: both outlive the API), whose session and metrics are
 * there already.
 * 0, or -errno with @e.
 */
int api_new(struct api **out, struct event_base *base, struct instance *instance,
	    const struct api_options *options, struct err *e);

/* Tells those who watch that the state of the session is another now. Accepts NULL. */
void api_state_changed(struct api *api);

/* Tell those who watch, as session_callbacks says. Accept NULL. */
void api_device_fault(struct api *api, const struct session_fault *fault);
void api_guest_panic(struct api *api);

/*
 * Answers what is still open and closes the socket. The session must be gone: it would call back
 * requests that are not there any more. Accepts NULL.
 */
void api_free(struct api *api);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches over machine's system call filters (jail/seccomp.h): says which call a thread has tried
 * that its filter forbids. The thread stands still in it until machine is ended.
 *
 * Thread: control's only one.
 */
#pragma once

#include "base/err.h"
#include "jail/seccomp.h"

struct event_base;
struct guardian;

/* @on_fault is told each forbidden call. 0 or -errno with @e filled. */
int guardian_new(struct guardian **out, struct event_base *base,
		 void (*on_fault)(void *opaque, const struct jail_report *report), void *opaque,
		 struct err *e);

/* Watches one more listener, which it takes. Without memory it is closed, which ends such calls too. */
void guardian_add(struct guardian *guardian, int listener_fd);

/* Accepts NULL. */
void guardian_free(struct guardian *guardian);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread with an event loop of its own, to which devices can be moved so that their work and that
 * of the main loop do not wait for each other.
 *
 * Nothing but the stop crosses threads here: events are added to its base before it starts, or by
 * what runs on it.
 */
#pragma once

#include "base/err.h"

struct event_base;
struct guard;
struct iothread;

/* A loop without a thread yet, to be called @name (at most 15 characters). 0 or -errno. */
int iothread_new(struct iothread **out, const char *name, struct err *e);

/* For devices to be attached to; valid until iothread_free(). */
struct event_base *iothread_base(struct iothread *t);

/* The thread serves its loop when @guard lets it. 0 or -errno. */
int iothread_start(struct iothread *t, struct guard *guard, struct err *e);

/* Ends the thread if there is one, after the event at hand. May be called twice. */
void iothread_stop(struct iothread *t);

/* Stops it first. No event is left on its base. Accepts NULL. */
void iothread_free(struct iothread *t);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What control asks of a running VM (struct vm_cmd), and the answers to it.
 *
 * Each command but VM_CMD_STOP is answered once, when it is done: at once, when the vCPUs are out of
 * the guest, or when a drive has nothing in flight any more.
 *
 * Thread: the loop, unless said otherwise.
 */
#pragma once

#include "base/err.h"
#include "control/wire.h"

struct commands;
struct event_base;
struct machine_metrics;
struct vm;

/* Sends @event to control; @flags as send(2). Thread: any. */
void command_send(const struct vm_event *event, int flags);

/*
 * Tell control, as struct vm_callbacks says. They never wait: what finds no room is lost, and a guest
 * that floods us loses its own reports.
 */
void command_send_panic(void *opaque, uint8_t what);
void command_send_fault(void *opaque, uint32_t drive, enum device_fault fault, const char *why);

/*
 * Listens on the socket from control. @on_stop is called on VM_CMD_STOP and when control is gone.
 * Time for the first answer counts from here. Counts in @metrics, which is borrowed and outlives it.
 * 0 or -errno with @e filled.
 */
int commands_new(struct commands **out, struct event_base *base, struct machine_metrics *metrics,
		 void (*on_stop)(void *opaque), void *opaque, struct err *e);

/* @vm runs: says so, and from here on commands go to it. It is borrowed and outlives the commands' use. */
void commands_start(struct commands *c, struct vm *vm);

/* No vCPU is in the guest any more. */
void commands_on_paused(struct commands *c);

/* Accepts NULL. The VM is gone. */
void commands_free(struct commands *c);

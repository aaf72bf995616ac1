/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All attacks of test/hostile on the first virtio device, through exits and doorbells, and those on
 * a read-only disk on the second. One line for each attack says how it ended.
 */
#include "test/guest/lib/apic.h"
#include "test/guest/lib/cpu.h"
#include "test/guest/lib/guest.h"
#include "test/guest/lib/idt.h"
#include "test/guest/lib/io.h"
#include "test/guest/lib/paging.h"
#include "test/guest/lib/print.h"
#include "test/guest/lib/smp.h"
#include "test/hostile/attacks.h"

enum {
	PATIENCE = 1000 * 1000, /* passes with a register read between: many seconds */
	ROUNDS = 100,
};

struct guest_port {
	struct port port; /* first: a port pointer is a guest_port pointer */
	uint64_t window;
};

/* What the second CPU does. Written by the first, but for is_stepping. */
static volatile bool is_wanted;
static volatile bool is_stepping;
static void (*volatile step_fn)(void *arg);
static void *volatile step_arg;

static uint64_t port_read(struct port *port, uint64_t offset, uint32_t width)
{
	return mmio_read(((struct guest_port *)port)->window + offset, width);
}

static void port_write(struct port *port, uint64_t offset, uint32_t width, uint64_t value)
{
	mmio_write(((struct guest_port *)port)->window + offset, width, value);
}

static void *port_ram(struct port *port, uint64_t address, uint64_t len)
{
	(void)port;
	if (address >= PORT_HIGH_START) {
		paging_map(address);
		paging_map(address + len - 1);
	}
	return (void *)(uintptr_t)address;
}

static void port_pass(struct port *port)
{
	(void)port;
	pause();
}

/* Says that it steps before it looks whether it should, so that the first CPU can wait for it. */
static void second_cpu(void)
{
	for (;;) {
		is_stepping = true;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (is_wanted) {
			step_fn(step_arg);
			continue;
		}
		is_stepping = false;
		while (!is_wanted)
			pause();
	}
}

static void port_race(struct port *port, void (*step)(void *arg), void *arg)
{
	(void)port;
	is_wanted = false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	while (is_stepping)
		pause();
	if (!step)
		return;
	step_fn = step;
	step_arg = arg;
	is_wanted = true;
}

static void run_list(struct driver *d, const struct attack_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const enum outcome outcome = attack_run(d, &list->attacks[i]);

		put_string(list->attacks[i].name);
		put_string(": ");
		put_string(attack_outcome_name(outcome));
		if (d->where != 0) {
			put_string(" at line ");
			put_decimal(d->where);
		}
		put_char('\n');
	}
}

int guest_main(uint64_t start_info)
{
	struct guest_port port = {
		.port = {
			.read = port_read,
			.write = port_write,
			.ram = port_ram,
			.pass = port_pass,
			.race = port_race,
			.patience = PATIENCE,
			.rounds = ROUNDS,
		},
		.window = PORT_WINDOW,
	};
	struct driver d = { .port = &port.port };

	(void)start_info;
	idt_load();
	apic_enable();
	smp_start(1, second_cpu);
	for (size_t i = 0; i < ATTACK_LISTS; i++)
		run_list(&d, attack_lists[i]);
	port.window += VIRTIO_MMIO_BYTES;
	run_list(&d, &attacks_read_only);
	return 0;
}

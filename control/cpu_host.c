/* SPDX-License-Identifier: Apache-2.0 */
/* Asking a machine process for its host's CPU: see cpu_host.h. */
#include "control/cpu_host.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/fdmsg.h"
#include "base/log.h"
#include "base/quote.h"
#include "control/open.h"
#include "control/spawn.h"

static int ask(int wire_fd, int kvm_fd, const struct cpu_template *asked, struct err *e)
{
	static struct machine_config config; /* its command line stays empty, and untouched */
	const size_t used = offsetof(struct machine_config, cmdline) + 1;
	int r;

	config.version = WIRE_VERSION;
	config.purpose = MACHINE_CPU_DUMP;
	config.kvm_slot = 0; /* the only descriptor */
	config.has_cpu_template = asked != NULL;
	r = fdmsg_send(wire_fd, &config, used, &kvm_fd, 1);
	if (r == 0 && asked)
		r = fdmsg_send(wire_fd, asked, sizeof(*asked), NULL, 0);
	return r < 0 ? err_errno(e, r, "cannot ask the machine process") : 0;
}

static bool is_sound(const struct cpu_template *t)
{
	return t->nr_cpuid <= WIRE_MAX_CPUID && t->nr_msrs <= WIRE_MAX_MSRS &&
	       t->nr_capabilities <= WIRE_MAX_CAPABILITIES;
}

/* Takes log lines as they come, until the answer or the reason why there is none. */
static int take_answer(int wire_fd, struct cpu_template *host, struct err *e)
{
	for (;;) {
		union {
			struct cpu_template template;
			struct vm_event event;
		} answer;
		size_t nr_fds;
		ssize_t n = fdmsg_recv(wire_fd, &answer, sizeof(answer), NULL, 0, &nr_fds);

		if (n == (ssize_t)sizeof(answer.template) && is_sound(&answer.template)) {
			*host = answer.template;
			return 0;
		}
		if (n != (ssize_t)sizeof(answer.event))
			return err_set(e, n < 0 ? (int)n : -EPROTO,
				       "the machine process ended without an answer");
		answer.event.text[sizeof(answer.event.text) - 1] = '\0';
		if (answer.event.kind == VM_EVENT_ENDED)
			return err_set(e, -EIO, "%s", answer.event.text);
		log_debug("machine: %s", quote(answer.event.text).text);
	}
}

int cpu_host_describe(const struct cpu_template *asked, struct cpu_template *host, struct err *e)
{
	struct machine_process machine = { 0 };
	auto_fd int kvm_fd = open_kvm("/dev/kvm", e);
	int r;

	if (kvm_fd < 0)
		return kvm_fd;
	r = machine_process_spawn(&machine, e);
	if (r < 0)
		return r;
	r = ask(machine.wire_fd, kvm_fd, asked, e);
	if (r == 0)
		r = take_answer(machine.wire_fd, host, e);
	machine_process_kill(&machine);
	return r;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * kvm-probe [--json]: is /dev/kvm true hardware virtualization?
 *
 * A /dev/kvm that exists need not be backed by VMX or SVM: a page-table-based KVM offers the same
 * API, but emulates guest code at CPL 0 one instruction at a time, and a stock kernel does not
 * boot on it. So the probe does not ask, it measures: one page of flat 32-bit code counts down at
 * CPL 0, and the instructions it gets through are divided by the processor time that takes.
 *
 * In million instructions a second, all but the last measured:
 *
 *	  1.1 to 5.2	KVM without VMX or SVM (kvm_pvm): every instruction emulated
 *	   55 to 480	kvm_amd in a machine that QEMU's TCG emulates (tools/lab), host busy or not
 *	above 1000	VMX or SVM of a processor
 *
 * The threshold of 17 is as far from the fastest emulation as from the slowest lab: a factor of three.
 *
 * Exit status: 0 hardware, 1 emulated, 2 no usable /dev/kvm, 64 wrong usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum verdict { VERDICT_HARDWARE, VERDICT_EMULATED, VERDICT_NONE, VERDICT_USAGE = 64 };

enum {
	CODE_GPA = 0x1000,
	PAGE_BYTES = 4096,
	LOOP_TURNS = 1000000,
	INSTRUCTIONS_PER_TURN = 2,
	SLICE_US = 50000, /* an attempt is cut off after this long */
	ATTEMPTS = 3, /* the best one counts, so that a busy machine is not misjudged */
	HARDWARE_MIPS = 17,
	DONE_PORT = 0xf4,
};

/* ecx holds the number of turns. */
static const uint8_t guest_code[] = {
	0x49, /* 1: dec %ecx */
	0x75, 0xfd, /* jnz 1b */
	0xe6, DONE_PORT, /*    out %al, $DONE_PORT */
	0xf4, /* hlt */
};

struct probe {
	int kvm_fd;
	int vm_fd;
	int vcpu_fd;
	struct kvm_run *run; /* owned mapping */
	double mips; /* million instructions a second, best attempt */
	const char *failed; /* what did not work, or NULL */
	int error; /* errno of that, or 0 */
};

/* For the signal handler alone: set before the timer is armed. */
static struct kvm_run *volatile running;

static void on_alarm(int sig)
{
	(void)sig;
	/* Also stops a KVM_RUN that has not started yet, so no timer is lost. */
	running->immediate_exit = 1;
}

static int fail(struct probe *p, const char *what, int error)
{
	p->failed = what;
	p->error = error;
	return -1;
}

static int make_vm(struct probe *p)
{
	p->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (p->kvm_fd < 0)
		return fail(p, "cannot open /dev/kvm", errno);
	if (ioctl(p->kvm_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return fail(p, "/dev/kvm has another API version", 0);
	p->vm_fd = ioctl(p->kvm_fd, KVM_CREATE_VM, 0);
	if (p->vm_fd < 0)
		return fail(p, "cannot create a VM", errno);

	uint8_t *page =
		mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return fail(p, "cannot map guest memory", errno);
	memcpy(page, guest_code, sizeof(guest_code));

	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = CODE_GPA,
		.memory_size = PAGE_BYTES,
		.userspace_addr = (uintptr_t)page,
	};
	if (ioctl(p->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return fail(p, "cannot give the VM memory", errno);
	return 0;
}

static int make_vcpu(struct probe *p)
{
	p->vcpu_fd = ioctl(p->vm_fd, KVM_CREATE_VCPU, 0);
	if (p->vcpu_fd < 0)
		return fail(p, "cannot create a vCPU", errno);
	int run_bytes = ioctl(p->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (run_bytes < (int)sizeof(*p->run))
		return fail(p, "cannot size the vCPU state", run_bytes < 0 ? errno : 0);
	void *run =
		mmap(NULL, (size_t)run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, p->vcpu_fd, 0);
	if (run == MAP_FAILED)
		return fail(p, "cannot map the vCPU state", errno);
	p->run = run;
	return 0;
}

/* Flat 32-bit protected mode without paging. */
static int enter_flat_mode(struct probe *p)
{
	struct kvm_sregs sregs;
	if (ioctl(p->vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return fail(p, "cannot read the vCPU's registers", errno);

	struct kvm_segment flat = {
		.limit = UINT32_MAX,
		.selector = 8,
		.type = 11, /* code: execute, read, accessed */
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1,
	};
	sregs.cs = flat;
	flat.selector = 16;
	flat.type = 3; /* data: read, write, accessed */
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat;
	sregs.cr0 |= 1; /* PE */
	if (ioctl(p->vcpu_fd, KVM_SET_SREGS, &sregs) < 0)
		return fail(p, "cannot set the vCPU's registers", errno);
	return 0;
}

static double cpu_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Runs the loop once, or as far as it gets in SLICE_US, and notes the rate. */
static int attempt(struct probe *p)
{
	struct kvm_regs regs = { .rip = CODE_GPA, .rcx = LOOP_TURNS, .rflags = 2 };
	if (ioctl(p->vcpu_fd, KVM_SET_REGS, &regs) < 0)
		return fail(p, "cannot set the vCPU's registers", errno);

	const struct itimerval slice = { .it_value = { .tv_usec = SLICE_US } };
	const struct itimerval never = { 0 };
	p->run->immediate_exit = 0;
	running = p->run;
	setitimer(ITIMER_REAL, &slice, NULL);
	double start = cpu_seconds();
	int r = ioctl(p->vcpu_fd, KVM_RUN, 0);
	int error = r < 0 ? errno : 0;
	double took = cpu_seconds() - start;
	setitimer(ITIMER_REAL, &never, NULL);

	if (r < 0 && error != EINTR)
		return fail(p, "cannot run a guest", error);
	if (r == 0 && (p->run->exit_reason != KVM_EXIT_IO || p->run->io.port != DONE_PORT))
		return fail(p, "a guest of three instructions does not run", 0);
	if (ioctl(p->vcpu_fd, KVM_GET_REGS, &regs) < 0)
		return fail(p, "cannot read the vCPU's registers", errno);

	uint32_t left = (uint32_t)regs.rcx;
	if (left > LOOP_TURNS)
		return fail(p, "a guest of three instructions does not run", 0);
	double instructions = (double)(LOOP_TURNS - left) * INSTRUCTIONS_PER_TURN;
	double mips = instructions / 1e6 / (took > 1e-6 ? took : 1e-6);
	if (mips > p->mips)
		p->mips = mips;
	return 0;
}

static enum verdict judge(struct probe *p)
{
	struct sigaction action = { .sa_handler = on_alarm }; /* no SA_RESTART: KVM_RUN must end */
	sigaction(SIGALRM, &action, NULL);
	if (make_vm(p) < 0 || make_vcpu(p) < 0 || enter_flat_mode(p) < 0)
		return VERDICT_NONE;
	for (int i = 0; i < ATTEMPTS; i++) {
		if (attempt(p) < 0)
			return VERDICT_NONE;
		if (p->mips >= HARDWARE_MIPS)
			return VERDICT_HARDWARE;
	}
	return VERDICT_EMULATED;
}

static void print_text(const struct probe *p, enum verdict verdict)
{
	if (verdict == VERDICT_NONE)
		printf("none: %s%s%s\n", p->failed, p->error ? ": " : "",
		       p->error ? strerror(p->error) : "");
	else
		printf("%s: %.1f million instructions/s\n",
		       verdict == VERDICT_HARDWARE ? "hardware" : "emulated", p->mips);
}

static void print_json(const struct probe *p, enum verdict verdict)
{
	if (verdict == VERDICT_NONE)
		printf("{\"kvm\": \"none\", \"reason\": \"%s%s%s\"}\n", p->failed,
		       p->error ? ": " : "", p->error ? strerror(p->error) : "");
	else
		printf("{\"kvm\": \"%s\", \"million_instructions_per_second\": %.1f}\n",
		       verdict == VERDICT_HARDWARE ? "hardware" : "emulated", p->mips);
}

int main(int argc, char **argv)
{
	bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
	if (argc > 1 && !json) {
		fprintf(stderr, "usage: kvm-probe [--json]\n");
		return VERDICT_USAGE;
	}

	/* Descriptors and mappings are left to the end of the process. */
	struct probe probe = { .kvm_fd = -1, .vm_fd = -1, .vcpu_fd = -1 };
	enum verdict verdict = judge(&probe);
	if (json)
		print_json(&probe, verdict);
	else
		print_text(&probe, verdict);
	return verdict;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the order of set-up costs: memory slots before the interrupt controllers against after them,
 * with a vCPU and eight doorbells in both. Interleaved; prints the medians and their ratio.
 *
 *	kvm-order [ROUNDS]
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "machine/kvm.h"
#include "machine/mem.h"
#include "machine/x86/layout.h"

enum { DOORBELLS = 8, MAX_ROUNDS = 1000 };

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int add_memory(const struct kvm *kvm, const struct mem *mem, struct err *e)
{
	const struct kvm_memory memory = {
		.len_bytes = mem->regions[0].len_bytes,
		.host = mem->regions[0].host,
	};

	return kvm_set_memory(kvm, &memory, e);
}

static int add_rest(const struct kvm *kvm, const int *doorbells, struct err *e)
{
	int r = kvm_create_irqchip(kvm, e);
	int vcpu;

	if (r < 0)
		return r;
	vcpu = kvm_ioctl(kvm->vm_fd, KVM_CREATE_VCPU, NULL);
	if (vcpu < 0)
		return err_errno(e, vcpu, "cannot create a vCPU");
	for (uint32_t i = 0; r == 0 && i < DOORBELLS; i++)
		r = kvm_add_ioeventfd(kvm, doorbells[i],
				      LAYOUT_VIRTIO_MMIO + i * LAYOUT_VIRTIO_MMIO_STRIDE, 0, e);
	close(vcpu);
	return r;
}

/* Microseconds of one set-up, or a negative number. */
static double set_up(bool is_memory_first, const struct mem *mem, const int *doorbells)
{
	struct err e = { 0 };
	struct kvm kvm;
	double begin, end;
	int r = kvm_open(&kvm, open("/dev/kvm", O_RDWR | O_CLOEXEC), &e);

	begin = now_us();
	if (r == 0 && is_memory_first)
		r = add_memory(&kvm, mem, &e);
	if (r == 0)
		r = add_rest(&kvm, doorbells, &e);
	if (r == 0 && !is_memory_first)
		r = add_memory(&kvm, mem, &e);
	end = now_us();
	kvm_close(&kvm);
	if (r < 0) {
		fprintf(stderr, "kvm-order: %s\n", e.msg);
		return -1;
	}
	return end - begin;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int main(int argc, char *argv[])
{
	static double first[MAX_ROUNDS], last[MAX_ROUNDS];
	long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 40;
	int doorbells[DOORBELLS];
	struct mem mem;

	if (rounds < 1 || rounds > MAX_ROUNDS || mem_init(&mem, 128 * MIB, NULL) < 0)
		return 2;
	for (size_t i = 0; i < DOORBELLS; i++)
		doorbells[i] = eventfd(0, EFD_CLOEXEC);
	for (long i = 0; i < rounds; i++) {
		first[i] = set_up(true, &mem, doorbells);
		last[i] = set_up(false, &mem, doorbells);
		if (first[i] < 0 || last[i] < 0)
			return 1;
	}
	qsort(first, (size_t)rounds, sizeof(first[0]), compare);
	qsort(last, (size_t)rounds, sizeof(last[0]), compare);
	printf("order   memory first %.1f us, interrupt controllers first %.1f us, ratio %.3f\n",
	       first[rounds / 2], last[rounds / 2], first[rounds / 2] / last[rounds / 2]);
	mem_release(&mem);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a kernel finds in memory when it starts: see boot.h. */
#include "machine/boot/boot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "machine/boot/boot_params.h"
#include "machine/boot/cmdline.h"
#include "machine/boot/initrd.h"
#include "machine/boot/kernel.h"
#include "machine/boot/pvh.h"
#include "machine/x86/acpi.h"
#include "machine/x86/layout.h"
#include "machine/x86/mptable.h"

/*
 * A kernel without ACPI finds virtio devices here (Linux, kernel-parameters, virtio_mmio.device).
 */
static int announce_virtio(char *cmdline, size_t size, uint32_t nr_virtio, struct err *e)
{
	char device[64];
	int r;

	for (uint32_t i = 0; i < nr_virtio; i++) {
		snprintf(device, sizeof(device), "virtio_mmio.device=4K@0x%" PRIx32 ":%" PRIu32,
			 LAYOUT_VIRTIO_MMIO + i * LAYOUT_VIRTIO_MMIO_STRIDE, LAYOUT_GSI_VIRTIO + i);
		r = cmdline_append(cmdline, size, device, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int write_cmdline(const struct mem *mem, const struct boot_plan *plan, uint32_t max,
			 struct gpa *at, struct err *e)
{
	const size_t size = LAYOUT_CMDLINE_MAX_BYTES;
	auto_free char *cmdline = NULL;
	int r;

	if (plan->has_acpi)
		return cmdline_write(mem, plan->cmdline, max, at, e);
	cmdline = malloc(size);
	if (!cmdline)
		return err_errno(e, -ENOMEM, "cannot hold the kernel command line");
	snprintf(cmdline, size, "%s", plan->cmdline);
	r = announce_virtio(cmdline, size, plan->nr_virtio, e);
	if (r < 0)
		return r;
	return cmdline_write(mem, cmdline, max, at, e);
}

/* The MP table serves kernels without ACPI; those with ACPI do not look at it. */
static int write_tables(const struct mem *mem, const struct boot_plan *plan, struct gpa *rsdp,
			struct err *e)
{
	const struct acpi_config acpi = {
		.cpu_count = plan->cpu_count,
		.nr_virtio = plan->nr_virtio,
		.has_com1 = plan->has_com1,
	};
	int r = mptable_write(mem, plan->cpu_count, e);

	rsdp->v = 0;
	if (r < 0 || !plan->has_acpi)
		return r;
	return acpi_write(mem, &acpi, rsdp, e);
}

int boot_load(const struct mem *mem, const struct boot_plan *plan, struct boot_entry *out,
	      struct err *e)
{
	struct boot_kernel kernel;
	struct initrd initrd;
	const struct initrd *has_initrd = NULL;
	struct gpa cmdline = { 0 }, rsdp = { 0 };
	int r;

	r = kernel_load(mem, plan->kernel_fd, plan->protocol, plan->unpacker, &kernel, e);
	if (r < 0)
		return r;
	if (plan->initrd_fd >= 0) {
		r = initrd_load(mem, plan->initrd_fd, &kernel, &initrd, e);
		if (r < 0)
			return r;
		has_initrd = &initrd;
	}
	r = write_cmdline(mem, plan, kernel.cmdline_max, &cmdline, e);
	if (r < 0)
		return r;
	r = write_tables(mem, plan, &rsdp, e);
	if (r < 0)
		return r;
	out->protocol = kernel.protocol;
	out->entry = kernel.entry;
	if (kernel.protocol == BOOT_PROTOCOL_PVH) {
		out->info.v = LAYOUT_PVH_START_INFO;
		return pvh_write(mem, has_initrd, cmdline, rsdp, e);
	}
	out->info.v = LAYOUT_ZERO_PAGE;
	return boot_params_write(mem, &kernel, has_initrd, cmdline, rsdp, e);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU templates: what a guest's CPU is to look like, on this and on every other host of a fleet.
 *
 * A template says of bits of CPUID and of MSRs what they shall be; all other bits stay as this host
 * has them. It is checked against the host before there is a VM, so that one that cannot be
 * honoured leaves nothing behind, then applied to each vCPU: CPUID before cpuid_normalize(), MSRs
 * after the boot MSRs.
 *
 * The check compares with template_describe_host(), which is also the answer to `cpu dump`: what
 * this program can offer a guest here. Which bits can be asked for is told by base/cpuid_bits.h.
 */
#pragma once

#include <linux/kvm.h>

#include "base/err.h"
#include "control/wire.h"

/*
 * Fills @host with what KVM on @sys_fd (/dev/kvm, borrowed) offers one vCPU, normalized, as a
 * template: CPUID without the bits that differ between vCPUs or change at run time, and the MSRs
 * that describe the CPU. Of what @asked (may be NULL) names beyond that it adds the capabilities
 * that are there, and MSRs that can be set, with an empty filter. Needs no VM. 0 or -errno.
 */
int template_describe_host(int sys_fd, const struct cpu_template *asked, struct cpu_template *host,
			   struct err *e);

/* The same with KVM's answer at hand, whose entries are copied. For tests. */
int template_from_cpuid(const struct kvm_cpuid2 *cpuid, struct cpu_template *out, struct err *e);

/*
 * Whether @host provides all that @template asks for: 0, or -ENOTSUP naming the first that is not.
 */
int template_compare(const struct cpu_template *template, const struct cpu_template *host,
		     struct err *e);

/* Both in one, for use before KVM_CREATE_VM. 0 or -errno. */
int template_check(int sys_fd, const struct cpu_template *template, struct err *e);

/* Changes the entries of @cpuid that @template names; a leaf that is not there stays so. */
void template_apply_cpuid(const struct cpu_template *template, struct kvm_cpuid2 *cpuid);

/* Changes MSRs of a vCPU whose CPUID is set. 0, or -errno naming the MSR that KVM refuses. */
int template_apply_msrs(const struct cpu_template *template, int vcpu_fd, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first instructions of a further CPU: from 16-bit real mode straight to 64-bit mode, with the
 * tables of the first CPU. smp_start() copies this to TRAMPOLINE_ADDRESS.
 */
#include "test/guest/lib/trampoline.h"

	.text
	.globl trampoline_start, trampoline_end
	.code16
trampoline_start:
	cli
	xorw %ax, %ax
	movw %ax, %ds
	lgdtl TRAMPOLINE_ADDRESS + (pointer - trampoline_start)
	movl $0x220, %eax	/* PAE, OSFXSR */
	movl %eax, %cr4
	movl $page_root, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx	/* EFER */
	rdmsr
	orl $0x100, %eax	/* LME */
	wrmsr
	movl $0x80000011, %eax	/* PG, ET, PE; caches on */
	movl %eax, %cr0
	ljmpl $0x08, $smp_start64
pointer:
	.word 3 * 8 - 1
	.long gdt
trampoline_end:

	.code64
smp_start64:
	movw $0x10, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movq smp_stack_top, %rsp
	xorl %ebp, %ebp
	call smp_main

	.section .note.GNU-stack, "", @progbits

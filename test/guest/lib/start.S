/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry of a freestanding test guest. The monitor enters at start32 by the PVH protocol: 32-bit
 * protected mode, paging off, EBX = start info. We map the first 4 GiB one to one with 2 MiB pages,
 * switch to long mode and call guest_main(start info). When it returns, the VM exits with its result.
 */
#include "test/guest/lib/ports.h"

	.section .note.Xen, "a", @note
	.balign 4
	.long 4			/* name size */
	.long 4			/* descriptor size */
	.long 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.balign 4
	.long start32

	.section .text.start, "ax"
	.code32
	.globl start32
start32:
	cld
	movl $stack_top, %esp
	movl %ebx, %esi		/* first argument, kept until the call */

	/* Four page directories: entry i maps i * 2 MiB, present, writable, large. */
	movl $page_directories, %edi
	movl $0x83, %eax
	movl $2048, %ecx
1:	movl %eax, (%edi)
	addl $0x200000, %eax
	addl $8, %edi
	loop 1b

	movl $page_directories + 0x0003, %eax
	movl %eax, page_pointers
	addl $0x1000, %eax
	movl %eax, page_pointers + 8
	addl $0x1000, %eax
	movl %eax, page_pointers + 16
	addl $0x1000, %eax
	movl %eax, page_pointers + 24
	movl $page_pointers + 0x0003, page_root

	movl %cr4, %eax
	orl $0x220, %eax	/* PAE, OSFXSR */
	movl %eax, %cr4
	movl $page_root, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx	/* EFER */
	rdmsr
	orl $0x100, %eax	/* LME */
	wrmsr
	movl %cr0, %eax
	orl $0x80000000, %eax	/* PG */
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $0x08, $start64

	.code64
start64:
	movw $0x10, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl $stack_top, %esp
	movl %esi, %edi
	call guest_main
	movw $GUEST_PORT_EXIT, %dx
	outb %al, %dx
2:	hlt
	jmp 2b

	.section .data
	.balign 8
	.globl gdt
gdt:	.quad 0
	.quad 0x00af9b000000ffff	/* 0x08: 64-bit code */
	.quad 0x00cf93000000ffff	/* 0x10: data */
gdt_pointer:
	.word . - gdt - 1
	.long gdt

	.section .bss
	.balign 4096
	.globl page_root, page_pointers
page_root:
	.skip 4096
page_pointers:
	.skip 4096
page_directories:
	.skip 4 * 4096
	.skip 16384
stack_top:

	.section .note.GNU-stack, "", @progbits

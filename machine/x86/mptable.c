/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the MP table: see mptable.h. Section numbers are those of the MP Specification 1.4. */
#include "machine/x86/mptable.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "machine/x86/checksum.h"
#include "machine/x86/layout.h"

enum { SPEC_REVISION = 4 }; /* 1.4 */

struct mp_pointer {
	char signature[4];
	le32 table;
	uint8_t len_units; /* of 16 bytes */
	uint8_t spec_revision;
	uint8_t checksum;
	uint8_t default_config; /* 0: there is a table */
	uint8_t features; /* 0: virtual wire, no IMCR */
	uint8_t reserved[3];
};
static_assert(sizeof(struct mp_pointer) == 16, "4.1");
static_assert(LAYOUT_MPTABLE % 16 == 0, "4.1");

struct mp_header {
	char signature[4];
	le16 len_bytes;
	uint8_t spec_revision;
	uint8_t checksum;
	char oem_id[8];
	char product_id[12];
	le32 oem_table;
	le16 oem_table_bytes;
	le16 nr_entries;
	le32 lapic_address;
	le16 extended_len_bytes;
	uint8_t extended_checksum;
	uint8_t reserved;
};
static_assert(sizeof(struct mp_header) == 44, "4.2");

/* Types of entries, in the order in which the table holds them, 4.3. */
enum {
	ENTRY_CPU,
	ENTRY_BUS,
	ENTRY_IOAPIC,
	ENTRY_IO_INTERRUPT,
	ENTRY_LOCAL_INTERRUPT,
};

struct mp_cpu {
	uint8_t type;
	uint8_t apic_id;
	uint8_t apic_version;
	uint8_t flags;
	le32 signature;
	le32 features;
	le32 reserved[2];
};
static_assert(sizeof(struct mp_cpu) == 20, "4.3.1");

enum {
	LAPIC_VERSION = 0x14, /* as KVM's */
	CPU_ENABLED = 1 << 0,
	CPU_BOOT = 1 << 1,
	/* CPUID leaf 1; guests take the truth from CPUID itself */
	CPU_SIGNATURE = 6 << 8, /* family 6 */
	CPU_FEATURES = 1 << 0 | 1 << 9, /* FPU, APIC */
};

struct mp_bus {
	uint8_t type;
	uint8_t id;
	char name[6];
};
static_assert(sizeof(struct mp_bus) == 8, "4.3.2");

struct mp_ioapic {
	uint8_t type;
	uint8_t id;
	uint8_t version;
	uint8_t flags;
	le32 address;
};
static_assert(sizeof(struct mp_ioapic) == 8, "4.3.3");

enum {
	IOAPIC_VERSION = 0x11, /* as KVM's */
	IOAPIC_ENABLED = 1 << 0,
};

/* An I/O interrupt (4.3.4) or, with a local APIC for target, a local one (4.3.5). */
struct mp_interrupt {
	uint8_t type;
	uint8_t kind;
	le16 flags;
	uint8_t bus_id;
	uint8_t bus_irq;
	uint8_t apic_id;
	uint8_t pin;
};
static_assert(sizeof(struct mp_interrupt) == 8, "4.3.4, 4.3.5");

enum {
	KIND_INT = 0,
	KIND_NMI = 1,
	KIND_EXT_INT = 3,
	ACTIVE_HIGH = 1 << 0,
	EDGE = 1 << 2,
	ALL_LAPICS = 0xff,
	ISA_BUS_ID = 0,
};

enum {
	NR_LINTS = 2,
	TAIL_ENTRIES = 1 + 1 + LAYOUT_GSI_END + NR_LINTS,
};

/* What follows the processor entries, whose number varies. */
struct mp_tail {
	struct mp_bus isa;
	struct mp_ioapic ioapic;
	struct mp_interrupt pins[LAYOUT_GSI_END];
	struct mp_interrupt lints[NR_LINTS];
};

struct mp_tables {
	struct mp_pointer pointer;
	struct mp_header header;
	struct mp_cpu cpus[LAYOUT_MAX_CPUS];
	struct mp_tail room_for_tail; /* it starts behind the last CPU there is */
};
static_assert(sizeof(struct mp_tables) <= LAYOUT_MPTABLE_MAX_BYTES, "room in the layout");
static_assert(sizeof(struct mp_tables) <= UINT16_MAX, "the length field has 16 bits");
static_assert(LAYOUT_MAX_CPUS <= 255, "APIC ids have 8 bits, and 255 means all");

static void build_cpus(struct mp_cpu *cpus, uint32_t cpu_count)
{
	for (uint32_t i = 0; i < cpu_count; i++)
		cpus[i] = (struct mp_cpu){
			.type = ENTRY_CPU,
			.apic_id = (uint8_t)i,
			.apic_version = LAPIC_VERSION,
			.flags = i == 0 ? CPU_ENABLED | CPU_BOOT : CPU_ENABLED,
			.signature = le32_put(CPU_SIGNATURE),
			.features = le32_put(CPU_FEATURES),
		};
}

/*
 * The I/O APIC has the first id that no CPU has, for 4.3.3 wants ids to differ. With 255 CPUs it is
 * 255: that is a target meaning all local APICs, but nothing is ever sent to an I/O APIC.
 *
 * Pins from 16 up are ISA interrupts too, which no ISA bus has; Linux takes the number of the pin
 * then. Trigger and polarity are said, as "conforms to the bus" is undefined for those.
 */
static void build_tail(struct mp_tail *tail, uint32_t cpu_count)
{
	const uint8_t ioapic_id = (uint8_t)cpu_count;

	tail->isa = (struct mp_bus){
		.type = ENTRY_BUS,
		.id = ISA_BUS_ID,
		.name = { 'I', 'S', 'A', ' ', ' ', ' ' },
	};
	tail->ioapic = (struct mp_ioapic){
		.type = ENTRY_IOAPIC,
		.id = ioapic_id,
		.version = IOAPIC_VERSION,
		.flags = IOAPIC_ENABLED,
		.address = le32_put(LAYOUT_IOAPIC),
	};
	for (size_t i = 0; i < ARRAY_LEN(tail->pins); i++)
		tail->pins[i] = (struct mp_interrupt){
			.type = ENTRY_IO_INTERRUPT,
			.kind = KIND_INT,
			.flags = le16_put(ACTIVE_HIGH | EDGE),
			.bus_id = ISA_BUS_ID,
			.bus_irq = (uint8_t)i,
			.apic_id = ioapic_id,
			.pin = (uint8_t)i,
		};
	/* The 8259's output goes to the boot CPU, NMI to all. */
	tail->lints[0] = (struct mp_interrupt){
		.type = ENTRY_LOCAL_INTERRUPT,
		.kind = KIND_EXT_INT,
		.bus_id = ISA_BUS_ID,
		.apic_id = 0,
		.pin = 0,
	};
	tail->lints[1] = (struct mp_interrupt){
		.type = ENTRY_LOCAL_INTERRUPT,
		.kind = KIND_NMI,
		.bus_id = ISA_BUS_ID,
		.apic_id = ALL_LAPICS,
		.pin = 1,
	};
}

static void build_pointer(struct mp_pointer *pointer)
{
	*pointer = (struct mp_pointer){
		.signature = { '_', 'M', 'P', '_' },
		.table = le32_put(LAYOUT_MPTABLE + offsetof(struct mp_tables, header)),
		.len_units = sizeof(*pointer) / 16,
		.spec_revision = SPEC_REVISION,
	};
	pointer->checksum = checksum_make(pointer, sizeof(*pointer));
}

/* Fills the header of a table of @len bytes whose entries are final. */
static void seal(struct mp_header *header, uint32_t cpu_count, size_t len)
{
	*header = (struct mp_header){
		.signature = { 'P', 'C', 'M', 'P' },
		.len_bytes = le16_put((uint16_t)len),
		.spec_revision = SPEC_REVISION,
		.oem_id = { 'V', 'O', 'L', 'T', ' ', ' ', ' ', ' ' },
		.product_id = { 'V', 'O', 'L', 'T', '-', 'V', 'M', 'M', ' ', ' ', ' ', ' ' },
		.nr_entries = le16_put((uint16_t)(cpu_count + TAIL_ENTRIES)),
		.lapic_address = le32_put(LAYOUT_LAPIC),
	};
	header->checksum = checksum_make(header, len);
}

int mptable_write(const struct mem *mem, uint32_t cpu_count, struct err *e)
{
	struct mp_tables tables = { 0 };
	struct mp_tail tail;
	size_t tail_at, len;
	int r;

	if (cpu_count < 1 || cpu_count > LAYOUT_MAX_CPUS)
		return err_set(e, -EINVAL, "%" PRIu32 " CPUs: an MP table takes 1 to %u", cpu_count,
			       LAYOUT_MAX_CPUS);

	tail_at = offsetof(struct mp_tables, cpus) + cpu_count * sizeof(tables.cpus[0]);
	len = tail_at + sizeof(tail);
	build_pointer(&tables.pointer);
	build_cpus(tables.cpus, cpu_count);
	build_tail(&tail, cpu_count);
	memcpy((uint8_t *)&tables + tail_at, &tail, sizeof(tail));
	seal(&tables.header, cpu_count, len - offsetof(struct mp_tables, header));

	r = mem_write(mem, (struct gpa){ LAYOUT_MPTABLE }, &tables, len);
	if (r < 0)
		return err_set(e, r, "guest memory ends before the MP table at %#x",
			       LAYOUT_MPTABLE);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the ACPI tables: see acpi.h. Section numbers are those of ACPI 6.5. */
#include "machine/x86/acpi.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdalign.h>
#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "machine/x86/aml.h"
#include "machine/x86/checksum.h"
#include "machine/x86/layout.h"

enum {
	TABLE_ALIGN = 16, /* asked of the RSDP, 5.2.5.1; habit for the others */
	COM_PORTS = 8,
	I8042_COMMAND_PORT = 4, /* from its first port, for data */
};
static_assert(LAYOUT_ACPI % TABLE_ALIGN == 0, "5.2.5.1");

struct rsdp {
	char signature[8];
	uint8_t checksum; /* over the 20 bytes of version 1 */
	char oem_id[6];
	uint8_t revision;
	le32 rsdt;
	le32 len_bytes;
	le64 xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __attribute__((packed));
static_assert(sizeof(struct rsdp) == 36, "5.2.5.3");

enum {
	RSDP_REVISION = 2,
	RSDP_V1_BYTES = 20,
};

struct header {
	char signature[4];
	le32 len_bytes;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	le32 oem_revision;
	char creator_id[4];
	le32 creator_revision;
} __attribute__((packed));
static_assert(sizeof(struct header) == 36, "5.2.6");

struct xsdt {
	struct header header;
	le64 fadt;
	le64 madt;
} __attribute__((packed));
static_assert(sizeof(struct xsdt) == 52, "5.2.8");

/* Generic address structure, 5.2.3.2 */
struct gas {
	uint8_t space;
	uint8_t bit_width;
	uint8_t bit_offset;
	uint8_t access_size;
	le64 address;
} __attribute__((packed));
static_assert(sizeof(struct gas) == 12, "5.2.3.2");

enum {
	GAS_SPACE_IO = 1,
	GAS_ACCESS_BYTE = 1,
};

/* Fields that a hardware-reduced platform leaves zero have no names here (5.2.9, table 5.9). */
struct fadt {
	struct header header;
	uint8_t zero_firmware_ctrl[73];
	le16 iapc_boot_arch;
	uint8_t zero_reserved;
	le32 flags;
	struct gas reset;
	uint8_t reset_value;
	le16 arm_boot_arch;
	uint8_t minor_version;
	le64 x_firmware_ctrl;
	le64 x_dsdt;
	struct gas zero_pm_blocks[8];
	struct gas sleep_control;
	struct gas sleep_status;
	char hypervisor_vendor[8];
} __attribute__((packed));
static_assert(offsetof(struct fadt, iapc_boot_arch) == 109, "5.2.9");
static_assert(offsetof(struct fadt, x_dsdt) == 140, "5.2.9");
static_assert(offsetof(struct fadt, sleep_control) == 244, "5.2.9");
static_assert(sizeof(struct fadt) == 276, "5.2.9");

enum {
	FADT_REVISION = 6,
	FADT_MINOR_VERSION = 5,

	/* 5.2.9.3 */
	FADT_BOOT_8042 = 1 << 1,
	FADT_BOOT_NO_VGA = 1 << 2,
	FADT_BOOT_NO_CMOS_RTC = 1 << 5,

	/* 5.2.9, table 5.10 */
	FADT_WBINVD = 1 << 0,
	FADT_PWR_BUTTON = 1 << 4, /* no fixed-hardware button */
	FADT_SLP_BUTTON = 1 << 5, /* likewise */
	FADT_RESET_REG_SUP = 1 << 10,
	FADT_HW_REDUCED = 1 << 20,
};

struct madt_lapic {
	uint8_t type;
	uint8_t len_bytes;
	uint8_t processor_uid;
	uint8_t apic_id;
	le32 flags;
} __attribute__((packed));
static_assert(sizeof(struct madt_lapic) == 8, "5.2.12.2");

struct madt_ioapic {
	uint8_t type;
	uint8_t len_bytes;
	uint8_t id;
	uint8_t reserved;
	le32 address;
	le32 gsi_base;
} __attribute__((packed));
static_assert(sizeof(struct madt_ioapic) == 12, "5.2.12.3");

struct madt {
	struct header header;
	le32 lapic_address;
	le32 flags; /* zero: there is no 8259 to disable, PCAT_COMPAT */
	struct madt_ioapic ioapic;
	struct madt_lapic lapic[LAYOUT_MAX_CPUS]; /* one for each CPU, that of the boot CPU first */
} __attribute__((packed));
static_assert(offsetof(struct madt, ioapic) == 44, "5.2.12");
static_assert(LAYOUT_MAX_CPUS <= 255, "APIC ids from 255 up need x2APIC entries, 5.2.12.12");

enum {
	MADT_REVISION = 6,
	MADT_TYPE_LAPIC = 0,
	MADT_TYPE_IOAPIC = 1,
	MADT_LAPIC_ENABLED = 1 << 0,
};

enum { DSDT_MAX_BYTES = 8192 };

struct dsdt {
	struct header header;
	uint8_t aml[DSDT_MAX_BYTES - sizeof(struct header)];
} __attribute__((packed));

enum {
	XSDT_REVISION = 1,
	DSDT_REVISION = 2, /* from 2 on, AML integers have 64 bits */
};

/* All tables at their places from LAYOUT_ACPI on. The DSDT, which can grow, is last. */
struct tables {
	struct rsdp rsdp;
	alignas(TABLE_ALIGN) struct xsdt xsdt;
	alignas(TABLE_ALIGN) struct fadt fadt;
	alignas(TABLE_ALIGN) struct madt madt;
	alignas(TABLE_ALIGN) struct dsdt dsdt;
};
static_assert(sizeof(struct tables) <= LAYOUT_ACPI_MAX_BYTES, "room in the layout");

/* The guest address of a member of struct tables. */
#define TABLE_GPA(member) (LAYOUT_ACPI + offsetof(struct tables, member))

static const char oem_id[6] = { 'V', 'O', 'L', 'T', ' ', ' ' };

/* Fills the header of a table of @len bytes whose contents are final. */
static void seal(struct header *header, const char *signature, uint8_t revision, size_t len)
{
	*header = (struct header){
		.len_bytes = le32_put((uint32_t)len),
		.revision = revision,
		.oem_table_id = { 'V', 'O', 'L', 'T', 'V', 'M', 'M', ' ' },
		.oem_revision = le32_put(1),
		.creator_id = { 'V', 'O', 'L', 'T' },
		.creator_revision = le32_put(1),
	};
	memcpy(header->signature, signature, sizeof(header->signature));
	memcpy(header->oem_id, oem_id, sizeof(header->oem_id));
	header->checksum = checksum_make(header, len);
}

static void build_rsdp(struct rsdp *rsdp)
{
	*rsdp = (struct rsdp){
		.signature = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' },
		.revision = RSDP_REVISION,
		.len_bytes = le32_put(sizeof(*rsdp)),
		.xsdt = le64_put(TABLE_GPA(xsdt)),
	};
	memcpy(rsdp->oem_id, oem_id, sizeof(rsdp->oem_id));
	rsdp->checksum = checksum_make(rsdp, RSDP_V1_BYTES);
	rsdp->extended_checksum = checksum_make(rsdp, sizeof(*rsdp));
}

static void build_xsdt(struct xsdt *xsdt)
{
	xsdt->fadt = le64_put(TABLE_GPA(fadt));
	xsdt->madt = le64_put(TABLE_GPA(madt));
	seal(&xsdt->header, "XSDT", XSDT_REVISION, sizeof(*xsdt));
}

static struct gas make_port(uint16_t port)
{
	return (struct gas){
		.space = GAS_SPACE_IO,
		.bit_width = 8,
		.access_size = GAS_ACCESS_BYTE,
		.address = le64_put(port),
	};
}

/*
 * Each absence that the flags declare saves the guest a probe: VGA and a CMOS clock. Without the
 * flag of the i8042 Linux takes it for absent, whatever the DSDT says.
 */
static void build_fadt(struct fadt *fadt)
{
	fadt->iapc_boot_arch = le16_put(FADT_BOOT_8042 | FADT_BOOT_NO_VGA | FADT_BOOT_NO_CMOS_RTC);
	fadt->flags = le32_put(FADT_WBINVD | FADT_PWR_BUTTON | FADT_SLP_BUTTON |
			       FADT_RESET_REG_SUP | FADT_HW_REDUCED);
	fadt->reset = make_port(LAYOUT_PORT_ACPI_RESET);
	fadt->reset_value = ACPI_RESET_VALUE;
	fadt->minor_version = FADT_MINOR_VERSION;
	fadt->x_dsdt = le64_put(TABLE_GPA(dsdt));
	fadt->sleep_control = make_port(LAYOUT_PORT_ACPI_SLEEP);
	fadt->sleep_status = make_port(LAYOUT_PORT_ACPI_SLEEP + 1);
	memcpy(fadt->hypervisor_vendor, "VOLT-VMM", sizeof(fadt->hypervisor_vendor));
	seal(&fadt->header, "FACP", FADT_REVISION, sizeof(*fadt));
}

/*
 * Interrupt source overrides are for ISA interrupts that are not on the pin of their number (on a
 * PC, the timer) or not edge, active high. There are none here: no timer is described, and devices
 * give their pins in the DSDT.
 */
static void build_madt(struct madt *madt, uint32_t cpu_count)
{
	madt->lapic_address = le32_put(LAYOUT_LAPIC);
	madt->ioapic = (struct madt_ioapic){
		.type = MADT_TYPE_IOAPIC,
		.len_bytes = sizeof(madt->ioapic),
		.address = le32_put(LAYOUT_IOAPIC),
	};
	for (uint32_t i = 0; i < cpu_count; i++)
		madt->lapic[i] = (struct madt_lapic){
			.type = MADT_TYPE_LAPIC,
			.len_bytes = sizeof(madt->lapic[i]),
			.processor_uid = (uint8_t)i,
			.apic_id = (uint8_t)i,
			.flags = le32_put(MADT_LAPIC_ENABLED),
		};
	seal(&madt->header, "APIC", MADT_REVISION,
	     offsetof(struct madt, lapic) + cpu_count * sizeof(madt->lapic[0]));
}

static void add_com1(struct aml *aml)
{
	aml_open_device(aml, "COM1");
	aml_name_eisa_id(aml, "_HID", "PNP0501"); /* 16550A-compatible serial port */
	aml_name_integer(aml, "_UID", 1);
	aml_open_crs(aml);
	aml_io(aml, LAYOUT_PORT_COM1, COM_PORTS);
	aml_interrupt(aml, LAYOUT_GSI_COM1);
	aml_close(aml);
	aml_close(aml);
}

/* No PNP0F13, a mouse, beside it: so Linux looks for none. */
static void add_keyboard(struct aml *aml)
{
	aml_open_device(aml, "KBD0");
	aml_name_eisa_id(aml, "_HID", "PNP0303"); /* 101- or 102-key keyboard */
	aml_open_crs(aml);
	aml_io(aml, LAYOUT_PORT_I8042, 1);
	aml_io(aml, LAYOUT_PORT_I8042 + I8042_COMMAND_PORT, 1);
	aml_interrupt(aml, LAYOUT_GSI_I8042);
	aml_close(aml);
	aml_close(aml);
}

/* QEMU0001 is the name that drivers of the pvpanic port know it by. */
static void add_pvpanic(struct aml *aml)
{
	aml_open_device(aml, "PEVT");
	aml_name_string(aml, "_HID", "QEMU0001");
	aml_open_crs(aml);
	aml_io(aml, LAYOUT_PORT_PVPANIC, 1);
	aml_close(aml);
	aml_close(aml);
}

/* The virtio-mmio transport @i; LNRO0005 is the name Linux and others know it by. */
static void add_virtio(struct aml *aml, uint32_t i)
{
	const char name[] = { 'V', 'R', (char)('0' + i / 10), (char)('0' + i % 10), '\0' };

	aml_open_device(aml, name);
	aml_name_string(aml, "_HID", "LNRO0005");
	aml_name_integer(aml, "_UID", i);
	aml_name_integer(aml, "_CCA", 1); /* DMA is coherent with caches */
	aml_open_crs(aml);
	aml_memory32_fixed(aml, LAYOUT_VIRTIO_MMIO + i * LAYOUT_VIRTIO_MMIO_STRIDE,
			   LAYOUT_VIRTIO_MMIO_STRIDE);
	aml_interrupt(aml, LAYOUT_GSI_VIRTIO + i);
	aml_close(aml);
	aml_close(aml);
}

/* Returns the length of the table, or -ENOSPC. */
static int build_dsdt(struct dsdt *dsdt, const struct acpi_config *config)
{
	struct aml aml;
	int len;

	aml_init(&aml, dsdt->aml, sizeof(dsdt->aml));
	aml_open_scope(&aml, "\\_SB");
	if (config->has_com1)
		add_com1(&aml);
	add_keyboard(&aml);
	add_pvpanic(&aml);
	for (uint32_t i = 0; i < config->nr_virtio; i++)
		add_virtio(&aml, i);
	aml_close(&aml);

	/* A hardware-reduced guest uses the first element only, 7.4.2. */
	aml_open_name_package(&aml, "\\_S5", 4);
	aml_integer(&aml, ACPI_SLEEP_TYPE_S5);
	for (int i = 1; i < 4; i++)
		aml_integer(&aml, 0);
	aml_close(&aml);

	len = aml_finish(&aml);
	if (len < 0)
		return len;
	len += (int)sizeof(dsdt->header);
	seal(&dsdt->header, "DSDT", DSDT_REVISION, (size_t)len);
	return len;
}

int acpi_write(const struct mem *mem, const struct acpi_config *config, struct gpa *rsdp,
	       struct err *e)
{
	struct tables tables = { 0 };
	int len, r;

	if (config->cpu_count < 1 || config->cpu_count > LAYOUT_MAX_CPUS)
		return err_set(e, -EINVAL, "%" PRIu32 " CPUs: ACPI tables take 1 to %u",
			       config->cpu_count, LAYOUT_MAX_CPUS);
	if (config->nr_virtio > LAYOUT_MAX_VIRTIO)
		return err_set(e, -EINVAL, "%" PRIu32 " virtio devices: there are %u interrupts",
			       config->nr_virtio, LAYOUT_MAX_VIRTIO);

	build_rsdp(&tables.rsdp);
	build_xsdt(&tables.xsdt);
	build_fadt(&tables.fadt);
	build_madt(&tables.madt, config->cpu_count);
	len = build_dsdt(&tables.dsdt, config);
	if (len < 0)
		return err_set(e, len, "the ACPI DSDT does not fit in %d bytes", DSDT_MAX_BYTES);

	r = mem_write(mem, (struct gpa){ LAYOUT_ACPI }, &tables,
		      offsetof(struct tables, dsdt) + (size_t)len);
	if (r < 0)
		return err_set(e, r, "guest memory ends before the ACPI tables at %#x",
			       LAYOUT_ACPI);
	*rsdp = (struct gpa){ LAYOUT_ACPI };
	return 0;
}

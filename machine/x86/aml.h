/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes ACPI Machine Language: the byte code of a DSDT (ACPI 6.5, chapter 20).
 *
 * Calls follow the shape of the ASL they stand for, an open object being closed by aml_close():
 *
 *	Device (VR00) {				aml_open_device(aml, "VR00");
 *		Name (_UID, 7)			aml_name_integer(aml, "_UID", 7);
 *		Name (_CRS, ResourceTemplate {	aml_open_crs(aml);
 *			Interrupt (...) { 5 }	aml_interrupt(aml, 5);
 *		})				aml_close(aml);
 *	}					aml_close(aml);
 *
 * AML puts lengths before contents, and a length has one to four bytes itself. So an object is
 * written without its length, and aml_close() moves the contents up to put the length in front.
 *
 * Traps: nothing is checked against the grammar (a resource descriptor outside a _CRS is written as
 * asked). Errors stick and later calls do nothing, so only aml_finish() need be looked at.
 * Names are written by us, never by a guest: at most four characters of A-Z, 0-9 and '_' after an
 * optional '\', padded with '_'.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	AML_MAX_DEPTH = 8,
	AML_MAX_BYTES = 1 << 24, /* well within the 28 bits of a length */
};

enum aml_object {
	AML_OBJECT_TERMS, /* a length, then the contents */
	AML_OBJECT_CRS, /* a resource template: a buffer, which has its size within its length */
};

struct aml {
	uint8_t *buf; /* borrowed: the caller's, until aml_finish() */
	size_t size;
	size_t len;
	int error; /* the first one, or 0 */
	size_t nr_open;
	struct {
		enum aml_object kind;
		size_t start; /* where the length belongs */
	} open[AML_MAX_DEPTH];
};

/* Starts at @buf, of which @size bytes may be used, or AML_MAX_BYTES if that is less. */
void aml_init(struct aml *aml, void *buf, size_t size);

/*
 * Returns the bytes written; -ENOSPC when they did not fit, -EINVAL when opens and closes do not
 * match or go deeper than AML_MAX_DEPTH. The bytes are of no use then.
 */
int aml_finish(const struct aml *aml);

/* Scope (@name), Device (@name): 20.2.5.1 and 20.2.5.2. */
void aml_open_scope(struct aml *aml, const char *name);
void aml_open_device(struct aml *aml, const char *name);

/* Name (@name, Package (@nr_elements)): follow it with that many aml_integer(), then close. */
void aml_open_name_package(struct aml *aml, const char *name, uint8_t nr_elements);

/* Name (_CRS, ResourceTemplate): follow it with resource descriptors, then close. */
void aml_open_crs(struct aml *aml);

/* Ends the object opened last. */
void aml_close(struct aml *aml);

/* An integer in its shortest form, 20.2.3. */
void aml_integer(struct aml *aml, uint64_t value);

/* Name (@name, ...). @text is ASCII; @eisa_id is three letters and four hex digits: "PNP0501". */
void aml_name_integer(struct aml *aml, const char *name, uint64_t value);
void aml_name_string(struct aml *aml, const char *name, const char *text);
void aml_name_eisa_id(struct aml *aml, const char *name, const char *eisa_id);

/* Resource descriptors, 6.4: @len ports decoded in 16 bits, or @len bytes of writable memory. */
void aml_io(struct aml *aml, uint16_t port, uint8_t len);
void aml_memory32_fixed(struct aml *aml, uint32_t start, uint32_t len);

/* One global system interrupt that the device consumes alone: edge, active high. */
void aml_interrupt(struct aml *aml, uint32_t gsi);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the memory map of the PVH start info and touches every RAM region at both ends and across
 * page boundaries: those 4 KiB, 8 KiB, 16 KiB, ... after its start or before its end. All words are
 * written before any is read back, so that two addresses with the same memory behind them are
 * noticed.
 */
#include <stdbool.h>

#include "test/guest/lib/guest.h"
#include "test/guest/lib/paging.h"
#include "test/guest/lib/print.h"
#include "test/guest/lib/start_info.h"

#define MAX_ENTRIES 8
#define PAGE 4096u
#define WORD sizeof(uint64_t)

extern const char image_start[], image_end[]; /* guest.ld */

/* Called for each word; false stops the walk. */
typedef bool (*probe_fn)(uint64_t address);

static uint64_t nr_words;

/* No two addresses have the same, and no address has its own zero-extended or repeated halves. */
static uint64_t pattern(uint64_t address)
{
	return ~address ^ address << 32;
}

static bool is_ours(uint64_t address)
{
	return address + WORD > (uintptr_t)image_start && address < (uintptr_t)image_end;
}

static bool write_word(uint64_t address)
{
	if (!paging_map(address) || !paging_map(address + WORD - 1))
		return false;
	*(volatile uint64_t *)address = pattern(address);
	return true;
}

static bool check_word(uint64_t address)
{
	nr_words++;
	return *(volatile uint64_t *)address == pattern(address);
}

static bool probe(uint64_t address, probe_fn fn)
{
	if (is_ours(address) || fn(address))
		return true;
	put_string("wrong at ");
	put_hex(address, 16);
	put_char('\n');
	return false;
}

static bool walk_region(uint64_t start, uint64_t end, probe_fn fn)
{
	bool is_good = probe(start, fn) && probe(end - WORD, fn);

	for (uint64_t step = PAGE; is_good && step <= end - start - PAGE; step *= 2)
		is_good = probe(start + step - WORD / 2, fn) && probe(end - step - WORD / 2, fn);
	return is_good;
}

static bool walk(const struct memmap_entry *entries, uint32_t nr, probe_fn fn)
{
	bool is_good = true;

	for (uint32_t i = 0; is_good && i < nr; i++)
		if (entries[i].type == MEMMAP_RAM)
			is_good = walk_region(entries[i].start,
					      entries[i].start + entries[i].len_bytes, fn);
	return is_good;
}

static void put_entry(const struct memmap_entry *entry)
{
	put_string(entry->type == MEMMAP_RAM ? "ram " : "other ");
	put_hex(entry->start, 16);
	put_char(' ');
	put_hex(entry->start + entry->len_bytes, 16);
	put_char('\n');
}

int guest_main(uint64_t start_info)
{
	const struct start_info *info = (const struct start_info *)start_info;
	const struct memmap_entry *table = (const struct memmap_entry *)info->memmap_address;
	uint32_t nr = info->memmap_entries;
	struct memmap_entry entries[MAX_ENTRIES]; /* the walk overwrites the table */

	if (info->magic != START_INFO_MAGIC || nr > MAX_ENTRIES)
		return 1;
	for (uint32_t i = 0; i < nr; i++) {
		entries[i] = table[i];
		put_entry(&entries[i]);
	}
	if (!walk(entries, nr, write_word) || !walk(entries, nr, check_word))
		return 2;
	put_string("words ");
	put_decimal(nr_words);
	put_char('\n');
	return 0;
}
